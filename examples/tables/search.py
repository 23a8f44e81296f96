"""Find hyperparameters for digits and for a table, with fewer epochs than a random search takes.

Both searches draw the same candidates from the default space. The random search of scikit-learn
trains all of them to the end. HalvingEpochsSearchCV drops two thirds of them at each rung, and the
others continue where they were. The scores are those of rows that no search has seen.

The program draws two pictures, search.png and search_coordinates.png, if matplotlib is installed.
"""

import time
import warnings
from pathlib import Path

from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from skdeep.model_selection import HalvingEpochsSearchCV, param_distributions

N_SPLITS = 3


def compare(name: str, X, y, max_epochs: int, n_candidates: int) -> HalvingEpochsSearchCV:
    """Print the scores of both searches, and what they cost; return the one by halving."""
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=max_epochs, random_state=0))
    space = param_distributions(model, effort="standard")
    searches = {
        "random search": RandomizedSearchCV(
            model, space, n_iter=n_candidates, cv=N_SPLITS, random_state=0
        ),
        "halving": HalvingEpochsSearchCV(
            model, space, n_candidates=n_candidates, cv=N_SPLITS, random_state=0
        ),
    }
    print(f"{name}: {len(X_train)} rows, {X.shape[1]} columns")
    for title, search in searches.items():
        start = time.perf_counter()
        search.fit(X_train, y_train)
        seconds = time.perf_counter() - start
        n_epochs = getattr(search, "n_epochs_", n_candidates * N_SPLITS * max_epochs)
        print(
            f"  {title:13}  test score {search.score(X_test, y_test):.3f}"
            f"  {n_epochs:5,} epochs  {seconds:5.1f} s"
        )
    return search


def draw(search: HalvingEpochsSearchCV, folder: Path) -> None:
    """Write the pictures of a search."""
    from skdeep.plotting import ParallelCoordinatesDisplay, SearchDisplay

    SearchDisplay.from_search(search).figure_.savefig(folder / "search.png")
    display = ParallelCoordinatesDisplay.from_search(search)
    display.figure_.savefig(folder / "search_coordinates.png")


def main(folder: Path, n_candidates: int = 18) -> None:
    # The number of epochs is given, so that it is no news if it was reached.
    warnings.simplefilter("ignore", ConvergenceWarning)
    search = compare("digits", *load_digits(return_X_y=True), 18, n_candidates)
    compare("breast cancer", *load_breast_cancer(return_X_y=True), 27, n_candidates)
    print("The best parameters for the digits:")
    for name, value in search.best_params_.items():
        print(f"  {name.split('__')[-1]} = {value}")
    try:
        draw(search, folder)
    except ImportError as error:
        print(error)


if __name__ == "__main__":
    main(Path(__file__).parent)

"""Tables: what they print, and what they render."""

from skdeep.reports.table import Table


class Fruit(Table):
    header = ("Fruit", "From", "Number")
    n_left_aligned = 2

    def _cells(self):
        return [("apple", "here", "5"), ("fig & date", "far away", "1,000")]


class Counted(Fruit):
    def _totals(self):
        return [("All of them", "1,005")]


def test_columns_are_aligned():
    assert str(Fruit()).splitlines() == [
        "Fruit       From      Number",
        "----------------------------",
        "apple       here           5",
        "fig & date  far away   1,000",
    ]


def test_totals_are_below():
    assert str(Counted()).splitlines()[-2:] == ["-" * 28, "All of them: 1,005"]
    assert repr(Counted()) == str(Counted())


def test_a_table_in_html():
    page = Fruit()._repr_html_()
    assert page.count("<tr>") == 3
    assert "<td>fig &amp; date</td>" in page
    assert "<tfoot>" not in page
    foot = "<tfoot><tr><th>All of them</th><th></th><th>1,005</th></tr></tfoot>"
    assert foot in Counted()._repr_html_()

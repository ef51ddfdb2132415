"""The bar of simulations in a terminal: rich's, up to the end, and none where none is wanted."""

import pytest

from burgerslab.data.progress_bar import progress_bar


@pytest.mark.parametrize(("shown", "expected"), [(True, "making things"), (False, "")])
def test_the_bar_counts_what_is_finished(shown, expected, capsys) -> None:
    with progress_bar("making things", 5, shown, done=2) as tell:
        tell(3)
        tell(5)
    output = capsys.readouterr().out
    assert output.strip().startswith(expected)
    assert ("5/5" in output) is shown

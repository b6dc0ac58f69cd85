"""Runs side by side: `mindcv compare-runs RUN RUN ...`."""

import argparse
from pathlib import Path

import pytest

from mindcv.errors import UserError
from mindcv.programs.compare_runs import run, short_names
from mindcv.report.comparison_page import duration
from tests.support.report_pages import HOSTILE

HEAD = "epoch,step,lr,train_loss,val_loss,top1,top5,train_seconds,val_seconds,images_per_second"


def write_run(folder: Path, *rows: str, options: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    if options:
        (folder / "config.yaml").write_text(options)
    return folder


def compare(tmp_path: Path, *runs: Path) -> str:
    output = tmp_path / "page.html"
    run(argparse.Namespace(runs=list(runs), output=output))
    return output.read_text(encoding="utf-8")


def row(name: str, *cells: str, leads: bool = False) -> str:
    mark = ' class="leads"' if leads else ""
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    return f'<tr{mark}><th scope="row" class="name">{name}</th>{numbers}</tr>'


def test_scores_are_those_of_each_runs_best_epoch_and_only_differing_options_are_listed(tmp_path, capsys):
    first = write_run(
        tmp_path / "ckpt" / "a",
        "1,9,0.1,2,1.5,0.4,0.8,60,3,100",
        "2,18,0.1,1,1.25,0.5,0.9,60,2,100",
        "3,27,0.1,1,1.5,0.45,0.9,60,2,100",
        options="lr: 0.05\nopt: adam\n",
    )
    second = write_run(tmp_path / "ckpt" / "b", "1,9,0.1,nan,,,,30,,50", options="lr: 0.1\n")
    page = compare(tmp_path, first, second)
    assert row("a", "50.00%", "90.00%", "1.2500", "2", "3", "3 min 7 s", leads=True) in page
    assert row("b", *(4 * ["\N{EN DASH}"]), "1", "30 s") in page
    assert '<tr><th scope="row">lr</th><td>0.05</td><td>0.1</td></tr>' in page
    assert page.count('<th scope="row">') == 1  # adam is the default of opt
    assert '"train_loss":[null]' in page
    assert capsys.readouterr().out == f"comparison: {tmp_path / 'page.html'}\n"


def test_names_of_runs_and_values_of_options_cannot_become_markup(tmp_path):
    first = write_run(tmp_path / "<img src=x onerror=alert(1)>", "1,9,0.1,2,1.5,0.4,0.8,60,3,100")
    second = write_run(tmp_path / "b", "1,9,0.1,2,1.5,0.4,0.8,60,3,100", options=f'model: "{HOSTILE}"\n')
    third = write_run(tmp_path / "c", "1,9,0.1,2,1.5,0.4,0.8,60,3,100", options="model: mnasnet_100\n")
    page = compare(tmp_path, first, second, third)
    assert "<img" not in page
    assert page.count("window.hacked=1") == 2
    assert "<script>window" not in page
    assert "No options are known of &lt;img src=x onerror=alert(1)&gt;: there is no config.yaml." in page


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "cannot be read (No such file or directory): give a folder that train.py has written"),
        (b"", "has no epochs: compare the run once its first epoch has ended"),
        (b"a,b\n1,2\n", "has no epochs: compare the run once its first epoch has ended"),
        (b"\xff\xfe", "is not a table in UTF-8: give a folder that train.py has written"),
    ],
)
def test_a_folder_that_holds_no_run_is_named_and_no_page_is_written(tmp_path, table, message):
    good = write_run(tmp_path / "good", "1,9,0.1,2,1.5,0.4,0.8,60,3,100")
    bad = tmp_path / "bad"
    bad.mkdir()
    if table is not None:
        (bad / "history.csv").write_bytes(table)
    with pytest.raises(UserError) as caught:
        compare(tmp_path, good, bad)
    assert str(caught.value) == f"{bad / 'history.csv'} {message}"
    assert not (tmp_path / "page.html").exists()


def test_a_damaged_options_file_is_named(tmp_path):
    runs = [
        write_run(tmp_path / name, "1,9,0.1,2,1.5,0.4,0.8,60,3,100", options="- 1\n") for name in ("a", "b")
    ]
    with pytest.raises(UserError, match=r"a/config\.yaml: is not a mapping"):
        compare(tmp_path, *runs)


def test_one_run_is_nothing_to_compare(tmp_path):
    with pytest.raises(UserError) as caught:
        compare(tmp_path, tmp_path / "a")
    assert str(caught.value) == "1 runs were given: give from 2 to 8 folders"


def test_runs_are_named_by_what_their_paths_do_not_share():
    assert short_names([Path("ckpt/a"), Path("ckpt/b/c")]) == ["a", "b/c"]
    assert short_names([Path("ckpt"), Path("ckpt/b")]) == ["ckpt", "b"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (60, "1 min 0 s"), (7500, "2 h 5 min"), (90_000, "1 d 1 h")]
)
def test_a_time_is_written_in_its_two_largest_units(seconds, text):
    assert duration(seconds) == text

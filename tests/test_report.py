"""`burgerslab report`: one file on a surrogate, an inversion and a hybrid run, opened in Chromium."""

import io
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from burgerslab.cli import main
from burgerslab.data import Store
from tests.browser import chromium, needs_chromium

DRAWN = "document.querySelectorAll('.js-plotly-plot').length"
# What the first chart of the page shows: its lines as numbers, and as they are drawn.
LINES = "Array.from(document.querySelector('.js-plotly-plot')._fullData, line => Array.from(line.y))"
PATH = "document.querySelector('.js-plotly-plot .scatterlayer .js-line').getAttribute('d')"
CHARTS = "Array.from(document.querySelectorAll('.js-plotly-plot'))"
TOO_WIDE = (  # tables of many columns may be scrolled on a screen, but not on paper
    "Array.from(document.querySelectorAll('section, .chart, img{}'))"
    ".filter(it => it.getBoundingClientRect().right > innerWidth + 1).map(it => it.outerHTML.slice(0, 80))"
)
MEGABYTE = 1_000_000


def store_of(run) -> Store:
    """The store that a run was trained on."""
    return Store(yaml.safe_load((run / "config.yaml").read_text())["data"]["init_args"]["store"])


@pytest.fixture(scope="module")
def report(finished_runs, tmp_path_factory):
    """The report of three runs of three kinds."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    runs = [str(finished_runs[kind]) for kind in ("surrogate", "inversion", "hybrid")]
    assert main(["report", *runs, "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def browser():
    """Opens files in Chromium."""
    with chromium() as open_file:
        yield open_file


@pytest.fixture(scope="module")
def page(browser, report):
    """The report in Chromium."""
    return browser(report)


def test_the_file_holds_what_is_known_of_every_run(report, finished_runs) -> None:
    text = report.read_text()
    assert report.stat().st_size < 10 * MEGABYTE
    assert [path.name for path in report.parent.iterdir()] == [report.name]  # nothing beside it
    for words in (
        "Run inversion",
        "Run hybrid",
        "hybrid: physics",
        "Viscosity over iterations",
        "Validation error per cycle",
        "the frames obey u_t + (u·∇)u = ν Δu with the recorded viscosity",
        "trainer.callbacks.0.num_cycles",
    ):
        assert words in text, words
    store = Store(
        yaml.safe_load((finished_runs["inversion"] / "config.yaml").read_text())["data"]["init_args"]["store"]
    )
    assert store.fingerprint in text
    # The truth of small_inversion, and an estimate that is near to it.
    assert '<td class="number">0.05</td>' in text


@needs_chromium
def test_it_opens_from_disk_without_a_word_in_the_console_and_without_a_network(page) -> None:
    assert page.messages == []
    assert page.fetched == []
    number = page.page.evaluate(DRAWN)
    assert number >= 15
    empty = (
        "Array.from(document.querySelectorAll('.js-plotly-plot')).filter(it => !it.querySelector('.main-svg')).length"
    )
    assert page.page.evaluate(empty) == 0


@needs_chromium
def test_the_slider_moves_the_rollout(page, finished_runs) -> None:
    store = store_of(finished_runs["surrogate"])
    rail = page.page.locator(".slider-rail-touch-rect").first
    rail.scroll_into_view_if_needed()
    box = rail.bounding_box()
    before, path = page.page.evaluate(LINES), page.page.evaluate(PATH)
    for share, frame in ((0.999, -1), (0.001, 0)):
        page.page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        page.wait_until(f"{PATH} != {path!r}")
        shown, path = page.page.evaluate(LINES), page.page.evaluate(PATH)
        truths = store.read("velocity", slice(None))[:, frame, 0]
        assert min(np.abs(truths - shown[0]).max(axis=1)) == 0  # some trajectory, exactly
        np.testing.assert_allclose(np.subtract(shown[1], shown[0]), shown[2], atol=1e-6)
        assert np.abs(np.subtract(shown[0], before[0])).max() > 1e-3
    assert np.abs(shown[2]).max() == 0  # at the first frame there is no error yet
    page.page.get_by_text("▶ play").first.click()
    page.wait_until(f"{PATH} != {path!r}")
    assert page.messages == []


@needs_chromium
def test_it_fits_screens_and_paper(page) -> None:
    for width in (1000, 1280, 1600):
        page.page.set_viewport_size({"width": width, "height": 900})
        page.wait_until(f"document.documentElement.scrollWidth <= {width}")  # Plotly waits before it follows
        page.wait_until(f"{TOO_WIDE.format('')}.length == 0")
    page.page.set_viewport_size({"width": 688, "height": 1000})  # what is between the margins of A4
    page.page.emulate_media(media="print")
    visible = "Array.from(document.querySelectorAll({!r})).filter(it => it.checkVisibility()).length"
    assert page.page.evaluate(visible.format(".chart")) == 0
    assert page.page.evaluate(visible.format("img.still")) >= 15
    assert page.page.evaluate(visible.format("details pre")) == 3
    assert page.page.evaluate(TOO_WIDE.format(", table")) == []
    page.page.emulate_media(media="screen")
    page.page.set_viewport_size({"width": 1280, "height": 900})


@needs_chromium
def test_its_charts_are_legible(page) -> None:
    chart = page.page.locator(".js-plotly-plot").first
    chart.scroll_into_view_if_needed()
    pixels = np.asarray(Image.open(io.BytesIO(chart.screenshot())).convert("RGB")).reshape(-1, 3).astype(int)
    for colour in ((0x26, 0x26, 0x26), (0x00, 0x72, 0xB2), (255, 255, 255)):  # truth, prediction, paper
        assert (np.abs(pixels - colour).max(axis=1) < 12).sum() > 200
    letters = "Array.from(document.querySelectorAll('.js-plotly-plot text')).filter(it => it.textContent)"
    assert min(page.page.evaluate(f"{letters}.map(it => parseFloat(getComputedStyle(it).fontSize))")) >= 9


@needs_chromium
def test_names_with_markup_are_words(browser, small_run, tmp_path) -> None:
    evil = tmp_path / '<b>bold</b> & "quoted" <img src=x onerror=alert(1)>'.replace("/", "\u2044")
    run = shutil.copytree(small_run.run, evil / "version_0")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["trainer"]["default_root_dir"] = "</pre></script><script>document.title='broken'</script>"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    path = tmp_path / "report.html"
    assert main(["report", str(run), f"--output={path}"]) == 0
    it = browser(path)
    assert it.page.title() == "Burgers equation: runs and rollouts"
    assert evil.name in it.page.inner_text(".subtitle")
    assert evil.name in it.page.locator(".js-plotly-plot .legendtext").nth(1).text_content()
    assert (it.messages, it.fetched) == ([], [])


def test_figures_and_films_are_written_beside_it(small_run, tmp_path, capsys) -> None:
    figures = tmp_path / "figures"
    assert main(["report", str(small_run.run), f"--output={tmp_path / 'report.html'}", f"--figures={figures}"]) == 0
    names = sorted(path.name for path in figures.iterdir())
    film = "01_rollouts_runs_space_and_time"
    assert [name for name in names if name.startswith("01")] in (
        [f"{film}.mp4", f"{film}.pdf"],
        [f"{film}.gif", f"{film}.pdf"],
    )
    assert {path.read_bytes()[:5] for path in figures.glob("*.pdf")} == {b"%PDF-"}
    assert len(names) >= 7
    assert f"figure: {figures / film}" in capsys.readouterr().out


def test_what_a_user_can_get_wrong_is_one_message(small_run, tmp_path, capsys) -> None:
    def message(*options: str) -> str:
        assert main(["report", *options]) == 1
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    run = str(small_run.run)
    assert f"run {tmp_path}: this is no run's folder" in message(str(tmp_path))
    assert f"the run {run} best is given twice" in message(run, run)
    assert f"{tmp_path} is a folder; name a file, as in --output={tmp_path / 'report.html'}" in message(
        run, f"--output={tmp_path}"
    )


def test_runs_whose_store_is_gone_are_reported_without_rollouts(finished_runs, tmp_path) -> None:
    runs = []
    for owner in ("one", "other"):  # who may call their folders alike
        runs.append(shutil.copytree(finished_runs["inversion"], tmp_path / owner / "moved" / "version_0"))
        text = (runs[-1] / "config.yaml").read_text()
        (runs[-1] / "config.yaml").write_text(text.replace("inversion.zarr", "gone.zarr"))
    path = tmp_path / "report.html"
    assert main(["report", *map(str, runs), f"--output={path}"]) == 0
    report = path.read_text()
    for run in runs:
        assert f"{run} has no rollouts here" in report
        assert f"Run {run.parent}</h2>" in report
    assert "Viscosity over iterations" in report
    assert "Energy spectrum" not in report

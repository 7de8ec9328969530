"""Every page over a whole demo: it answers its question and says what data it shows."""

from dashboards import contents
from guelta.lake import Lake
from guelta.settings import Settings, resolved


def asked_by(page_file):
    return next(one for one in contents.pages() if str(one.path).endswith(page_file))


def badges(page):
    return " ".join(mark.value for mark in page.markdown)


def test_a_page_answers_its_question_over_demo_data(pages_over, demo_home, page_file):
    page = pages_over(demo_home).switch_page(page_file).run()
    found = [[one.value for one in page.title], [one.value for one in page.error], len(page.exception)]
    assert found == [[asked_by(page_file).question], [], 0]
    assert "DEMO DATA" in badges(page)
    assert "devnet final at" in badges(page)


def test_a_page_without_a_lake_says_what_to_run(pages_over, tmp_path, page_file):
    page = pages_over(resolved(Settings(home=tmp_path / "nothing"))).switch_page(page_file).run()
    assert [one.value for one in page.code] == ["guelta demo"]
    assert ([one.value for one in page.title], len(page.exception)) == ([asked_by(page_file).question], 0)
    assert not (tmp_path / "nothing").exists()  # looking must not make a lake


def test_a_page_over_an_empty_lake_says_what_to_run(pages_over, tmp_path, page_file):
    settings = resolved(Settings(home=tmp_path))
    Lake(settings.lake, world="real")
    page = pages_over(settings).switch_page(page_file).run()
    assert ([one.value for one in page.code], len(page.exception)) == (["guelta build"], 0)


def test_a_folder_that_is_no_lake_is_refused_in_words(pages_over, tmp_path, page_file):
    settings = resolved(Settings(home=tmp_path))
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "theses.txt").write_text("not ours")
    page = pages_over(settings).switch_page(page_file).run()
    assert ["holds something Guelta did not make" in one.value for one in page.error] == [True]
    assert len(page.exception) == 0


def test_choices_are_the_url(pages_over, demo_home):
    page = pages_over(demo_home, token="TAI", grain="Month")
    assert [one.label for one in page.metric][:3] == ["Gross value, TAI", "Supply side, TAI", "Protocol revenue, TAI"]


def test_one_contributor_is_named_by_the_url(pages_over, demo_home):
    lake = Lake(demo_home.lake)
    balances = lake.table("marts.contributor_balances").read()
    party = sorted(set(balances["party"].to_pylist()))[3]
    page = pages_over(demo_home, party=party).switch_page("pages/analyst/contributor.py").run()
    assert f"`{party}`" in [one.value for one in page.caption]


def test_every_page_file_is_in_the_menu_under_its_section():
    assert {(one.section, one.path.stem, one.hidden) for one in contents.pages()} == {
        ("investor", "ecosystem", False),
        ("investor", "dictionary", False),
        ("analyst", "contributors", False),
        ("analyst", "contributor", True),
        ("analyst", "datasets", False),
        ("analyst", "usage", False),
        ("finance", "reconciliation", False),
        ("operator", "quality", False),
    }

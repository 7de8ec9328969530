"""Which pages there are: found in their folders and described by their own first lines."""

import ast
import inspect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).parent
SECTIONS = ("investor", "analyst", "finance", "operator")  # who asks; a folder not named here comes last


@dataclass(frozen=True, slots=True)
class PageFile:
    """A page as its file describes it: ``name: question`` in the first line, a few constants below."""

    path: Path
    section: str
    name: str
    question: str
    icon: str
    hidden: bool
    place: int


@lru_cache
def pages() -> tuple[PageFile, ...]:
    """Every page file, in the order of the menu; read once a process, without running any."""
    found = [_page_file(path) for path in sorted(HERE.glob("pages/*/[!_]*.py"))]
    return tuple(sorted(found, key=lambda one: (_rank(one.section), one.section, one.place, one.path.stem)))


def address(page_file: PageFile) -> str:
    """The page's path in the URL: the first page is the root itself."""
    return "" if page_file == pages()[0] else page_file.path.stem


def page_of(stem: str) -> Path:
    return next(one.path for one in pages() if one.path.stem == stem)


def described(doc: str | None) -> tuple[str, str]:
    """The name and the question of a page from its first line."""
    name, _, question = (doc or "").strip().partition("\n")[0].partition(":")
    question = question.strip()
    return name.strip(), question[:1].upper() + question[1:]


def _rank(section: str) -> int:
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)


def _page_file(path: Path) -> PageFile:
    tree = ast.parse(path.read_text("utf-8"))
    said = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    name, question = described(inspect.cleandoc(ast.get_docstring(tree) or f"{path.stem}: ?"))
    icon, hidden, place = said.get("ICON", ":material/monitoring:"), bool(said.get("HIDDEN")), said.get("PLACE", 9)
    return PageFile(path, path.parent.name, name, question, str(icon), hidden, int(str(place)))

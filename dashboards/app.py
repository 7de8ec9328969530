"""The frame: pages are found, not listed, and each says in its first line what it is called and what it answers."""

from itertools import groupby

import streamlit as st

from dashboards.contents import HERE, pages

st.set_page_config(page_title="Guelta", page_icon=str(HERE / "guelta.png"), layout="wide")
st.logo(str(HERE / "guelta.svg"), size="large", icon_image=str(HERE / "guelta-mark.svg"))
first = pages()[0]
sections = {
    section.capitalize(): [
        st.Page(
            page.path,
            title=page.name,
            icon=page.icon,
            help=page.question,
            url_path=page.path.stem,
            default=page == first,
            visibility="hidden" if page.hidden else "visible",
        )
        for page in found
    ]
    for section, found in groupby(pages(), key=lambda page: page.section)
}
st.navigation(sections, position="sidebar").run()

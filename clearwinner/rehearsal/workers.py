"""Simulated workers at work: they come through the worker site over HTTP, like people.

A worker signs in with an invitation link, reads the list of HITs, opens the preview, accepts,
loads the task in its frame, looks at the images, answers and submits. It learns nothing that a
person would not see.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

import httpx
from lxml import html

from clearwinner.rehearsal.taste import Eyes, fingerprint
from clearwinner.rehearsal.voting import SimulatedWorker
from generation.study import UserError


class RehearsalError(UserError):
    """A simulated worker met a page that it could not use."""


@dataclass(frozen=True)
class Page:
    """A page as a browser holds it: where it is and what it says."""

    url: str
    tree: html.HtmlElement

    def links(self, part: str) -> list[str]:
        """Absolute addresses of the links whose address contains a text, each once."""
        found = [urljoin(self.url, a.get("href")) for a in self.tree.iter("a") if a.get("href")]
        return list(dict.fromkeys(url for url in found if part in url))

    def frame(self) -> str:
        """The address of the page's frame."""
        frames = self.tree.xpath("//iframe/@src")
        if not frames:
            raise RehearsalError(f"{self.url}: no frame with a task on this page.")
        return urljoin(self.url, str(frames[0]))

    def form(self, action: str) -> html.FormElement:
        """The form whose address contains a text."""
        for form in self.tree.forms:
            if action in (form.get("action") or ""):
                return form
        raise RehearsalError(f"{self.url}: no form that leads to {action!r} on this page.")


@dataclass
class Browser:
    """One worker's browser: cookies of the worker site, and images kept by address."""

    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60.0))
    images: dict[str, bytes] = field(default_factory=dict)

    def open(self, url: str) -> Page:
        """Load a page."""
        return self._page(self.http.get(url, follow_redirects=True))

    def submit(self, page: Page, form: html.FormElement, fields: Mapping[str, str]) -> Page:
        """Send a form by POST with the values it holds and those given."""
        values = dict(form.form_values()) | dict(fields)
        address = urljoin(page.url, form.get("action") or page.url)
        headers = {"Origin": _origin(page.url), "Referer": page.url}
        return self._page(
            self.http.post(address, data=values, headers=headers, follow_redirects=True)
        )

    def image(self, url: str) -> bytes:
        """Load an image, from the cache when it was loaded before."""
        if url not in self.images:
            answer = self.http.get(url)
            answer.raise_for_status()
            self.images[url] = answer.content
        return self.images[url]

    @staticmethod
    def _page(answer: httpx.Response) -> Page:
        if answer.is_error:
            words = str(html.fromstring(answer.text or "<p/>").xpath("string()")).split()
            text = " ".join(words)[:300]
            raise RehearsalError(f"{answer.request.url}: {answer.status_code}: {text}")
        return Page(str(answer.url), html.fromstring(answer.text))


@dataclass
class Shift:
    """A simulated worker with a browser, doing HITs."""

    worker: SimulatedWorker
    sign_in: str
    seed: int
    eyes: Eyes
    done: Callable[[], None]
    browser: Browser = field(default_factory=Browser)

    def work(self, most: int) -> int:
        """Sign in and do HITs that are open, at most so many; returns how many were submitted."""
        home = self.browser.open(self.sign_in)
        if home.tree.forms and not home.links("/worker/hits/"):
            home = self._enter(home)
        submitted = 0
        # What an interrupted rehearsal left accepted comes first.
        for url in self._list(home).links("/worker/assignments/"):
            submitted += self._answer(self.browser.open(url))
        while open_hits := self._list(home).links("/worker/hits/"):
            random.Random(f"{self.seed}|{self.worker.name}").shuffle(open_hits)
            for url in open_hits:
                if submitted >= most:
                    return submitted
                submitted += self._do(url)
        return submitted

    def _enter(self, page: Page) -> Page:
        for form in page.tree.forms:
            if "/sign-in/" in (form.get("action") or ""):
                return self.browser.submit(page, form, {})
        return page

    def _list(self, home: Page) -> Page:
        return self.browser.open(urljoin(home.url, "/worker/"))

    def _do(self, url: str) -> int:
        """Preview, accept, judge and submit one HIT; 0 when another worker was quicker."""
        preview = self.browser.open(url)
        try:
            working = self.browser.submit(preview, preview.form("/accept"), {})
        except RehearsalError:
            return 0
        return self._answer(working)

    def _answer(self, working: Page) -> int:
        """Judge and submit an accepted HIT."""
        task = self.browser.open(working.frame())
        form = task.form("/mturk/externalSubmit")
        self.browser.submit(task, form, self._answers(task, form))
        self.done()
        return 1

    def _answers(self, task: Page, form: html.FormElement) -> dict[str, str]:
        """One choice for each question, from the images in the places they are shown."""
        answers = {}
        for pair in form.xpath(".//section[contains(@class, 'pair')]"):
            prompt = pair.xpath("string(.//q)").strip().strip('“”"')
            addresses = [urljoin(task.url, src) for src in pair.xpath(".//img/@src")]
            contents = {url: self.browser.image(url) for url in addresses}
            seen = [self.eyes.impression(contents[url], prompt) for url in addresses]
            for name in dict.fromkeys(pair.xpath(".//input[@type='radio']/@name")):
                question = str(name).partition(".")[2]
                about = f"{fingerprint(contents)}|{question}"
                answers[str(name)] = self.worker.vote(
                    [impression.of(question) for impression in seen], seed=self.seed, about=about
                )
        return answers


def _origin(url: str) -> str:
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode()}"

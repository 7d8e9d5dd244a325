"""The report of a race: one HTML file that needs nothing else, not even a script."""

import html
import json
from importlib import resources

from jopt.experiments import charts, wording
from jopt.experiments.results import RaceResult
from jopt.experiments.standings import Standing

_BIG = (520, 320)
_SMALL = (250, 150)


def page(result: RaceResult) -> str:
    """The whole report as an HTML document."""
    body = (
        f"{_head(result)}{_table(result)}{_pictures(result)}{_cards(result)}"
        f"{_record(result)}"
    )
    return document(f"jopt race: {_headline(result)}", body)


def document(title: str, body: str) -> str:
    """A whole document in the style of the reports."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n"
        "<style>body{margin:0;background:light-dark(#fbfaf7,#15171a)}</style>\n"
        f'</head><body>\n<main class="jopt-race page">{_style()}\n'
        f"{body}</main>\n</body></html>\n"
    )


def fragment(result: RaceResult) -> str:
    """The leaderboard and the two charts, for a notebook."""
    return (
        f'<div class="jopt-race">{_style()}{_head(result)}{_table(result)}'
        f"{_pictures(result)}</div>"
    )


def _style() -> str:
    file = resources.files("jopt.experiments").joinpath("report.css")
    return f"<style>{file.read_text('utf8')}</style>"


def _headline(result: RaceResult) -> str:
    rows = result.leaderboard()
    if not rows or rows[0].rate is None:
        return "no winner"
    level = sum(row.rank == 1 for row in rows)
    return f"{rows[0].name} {f'leads a tie of {level}' if level > 1 else 'wins'}"


def _head(result: RaceResult) -> str:
    took = wording.duration(result.seconds)
    setting = _text(wording.setting(result)).replace(" x ", " × ")
    return (
        f'<header><p class="kicker">jopt race</p><h1>{_text(_headline(result))}</h1>'
        f'<p class="verdict">{_text(wording.verdict(result))}</p>'
        f'<p class="setting">{setting}, {took}</p></header>'
    )


def _table(result: RaceResult) -> str:
    heads = []
    for name, meaning in wording.HEADERS:
        shown = f"test {result.metric}" if name == "test" else name
        side = ' class="text"' if name == "optimizer" else ""
        heads.append(f'<th{side} title="{_text(meaning)}">{_text(shown)}</th>')
        if name == "test":
            heads.append('<th aria-label="test score, drawn"></th>')
    drawn, kinds = charts.whiskers(result), charts.colours(result)
    rows = "".join(
        _row(row, result, drawn.get(row.name, ""), kinds[row.name])
        for row in result.leaderboard()
    )
    notes = "".join(f"<li>{_text(note)}</li>" for note in wording.notes(result))
    return (
        '<section class="board"><h2>Leaderboard</h2><div class="scroll"><table><thead>'
        f"<tr>{''.join(heads)}</tr></thead><tbody>{rows}</tbody></table></div>"
        f'<ul class="notes">{notes}</ul></section>'
    )


def _row(row: Standing, result: RaceResult, drawn: str, kind: str) -> str:
    cells = []
    for (name, _), text in zip(
        wording.HEADERS, wording.cells(row, result), strict=True
    ):
        if name == "optimizer":
            cells.append(
                f'<td class="text"><i class="key {kind}"></i>{_text(text)}</td>'
            )
        elif name == "test":
            cells.append(f"<td>{_text(text)}</td><td>{drawn}</td>")
        else:
            cells.append(f"<td>{_text(text)}</td>")
    state = "lost" if row.rate is None else "first" if row.rank == 1 else ""
    return f'<tr class="{state}">{"".join(cells)}</tr>'


def _pictures(result: RaceResult) -> str:
    if not any(row.rate is not None for row in result.leaderboard()):
        return ""
    kinds = charts.colours(result)
    keys = "".join(
        f'<li><i class="key {kinds[row.name]}"></i>{_text(row.name)}</li>'
        for row in result.leaderboard()
        if kinds[row.name] != "rest"
    )
    if "rest" in kinds.values():
        keys += '<li><i class="key rest"></i>the others</li>'
    metric = _text(result.metric)
    return (
        f'<section class="pictures"><ul class="keys">{keys}</ul>'
        f"<figure><figcaption><b>Learning curves</b> validation {metric} at the best "
        f"rate, mean over seeds</figcaption>{charts.learning(result, _BIG)}</figure>"
        f"<figure><figcaption><b>Rate sensitivity</b> final validation {metric}; dots "
        f"mark the best rate</figcaption>{charts.sensitivity(result, _BIG)}</figure>"
        "</section>"
    )


def _cards(result: RaceResult) -> str:
    cards = "".join(_card(row, result) for row in result.leaderboard())
    return (
        "<section><h2>Every optimizer</h2>"
        '<p class="hint">Left: final validation score by learning rate, a dot for each '
        "seed, a ring at the best rate, a cross where a run diverged. Right: score by "
        "step, the best rate in colour with the range over seeds, the other rates "
        f'faint. Scales are shared.</p><div class="cards">{cards}</div></section>'
    )


def _card(row: Standing, result: RaceResult) -> str:
    entry = result.entry(row.name)
    plots = ""
    if not row.error:
        plots = (
            f'<div class="pair">{charts.own_sensitivity(result, entry, _SMALL)}'
            f"{charts.own_learning(result, entry, _SMALL)}</div>"
        )
    score = _text(wording.test(row, result.metric))
    return (
        f'<article><h3><span class="place">{wording.place(row)}</span>'
        f'{_text(row.name)}<span class="score">{score}</span></h3>{plots}'
        f"<pre>{_text(row.chain)}</pre></article>"
    )


def _record(result: RaceResult) -> str:
    """The settings and versions, and what to call to have this result again."""
    config = {k: v for k, v in result.config.items() if v is not None}
    facts = "".join(
        f"<dt>{_text(key)}</dt><dd>{_text(_plain(value))}</dd>"
        for key, value in (config | result.versions).items()
    )
    return (
        f"<section><h2>Settings and versions</h2><dl>{facts}</dl>"
        '<p class="hint">The learning rate is chosen on validation data, the score is '
        "that of test data. All curves are in results.json.</p></section>"
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return html.escape(text)

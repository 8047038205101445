"""`copy`: move a site's sessions to another store, so that nobody is logged out."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from .._core.copy_mark import Names, abandon
from .._core.copying import Reseal, SiteCopy, Tally
from .._core.shelf import LIBRARY_NAMESPACES
from .._hidden import Hidden
from .._urls import place_of
from ..errors import StoreError, StoreUnavailable
from ..stores import open_existing_store, open_store
from ..stores.base import Store, inside
from ._arguments import add_json, add_secret, check_names, closed_at_end, names_of, settings_in, url_in
from ._command import Command, CommandFailed, UsageError
from ._output import local_time, note, say, say_json, say_table
from ._progress import progress

#: What is counted, as the table calls it.
_COLUMNS = ("namespace", "read", "written", "unchanged", "removed", "expired", "unreadable")

_SWITCHES = {
    "--final": "make the last pass, after the site has stopped",
    "--skip-unreadable": "let the last pass leave out what is not readable",
    "--allow-removals": "let the pass remove most of the sessions that are in TO",
    "--same-source": "FROM is the store that the passes before copied from, though its URL is another",
    "--abandon": "copy nothing: TO stays as it is, for the site that runs there already",
}


def _add_arguments(parser: ArgumentParser) -> None:
    for name, what in (("source", "FROM"), ("target", "TO")):
        parser.add_argument(
            name,
            metavar=what,
            help=f"the URL of the store to copy {what.lower()}, or env:NAME, as in `sessionware stats`",
        )
    parser.add_argument(
        "--namespace",
        metavar="NAME/NAME",
        type=names_of,
        action="append",
        default=[],
        help="a namespace to copy as well; may be given several times",
    )
    parser.add_argument(
        "--to-namespace",
        metavar="NAME/NAME",
        type=_root_or_names,
        help="copy the root alone, or the one --namespace, to this namespace of TO (/ is its root), and seal every "
        "session anew, which takes the secret",
    )
    for name, what in _SWITCHES.items():
        parser.add_argument(name, action="store_true", help=what)
    add_secret(parser)
    add_json(parser)


def _root_or_names(text: str) -> Names:
    return () if text == "/" else names_of(text)


def _run(options: Namespace) -> None:
    _check(options)
    if options.abandon:
        _abandon(options)
        return
    began, copy = time.monotonic(), _copy_of(options)
    copy.begin(same_source=options.same_source)
    try:
        with progress(options, "records read") as tell:
            tallies = copy.copy(tell, allow_removals=options.allow_removals)
        _warn(tallies)
        problem = _finished(copy, options) if options.final else None
    except StoreUnavailable as error:
        raise CommandFailed(f"{str(error).rstrip('.')}. What was copied stays: give the same command again.") from error
    _tell(options, tallies, time.monotonic() - began, is_finished=options.final and problem is None)
    if problem is not None:
        raise CommandFailed(problem)


def _abandon(options: Namespace) -> None:
    target = open_existing_store(url_in(options.target), options.to_namespace or ())
    if not abandon(closed_at_end(options, target), int(time.time())):
        raise CommandFailed("no copy to this store is under way")
    if not options.json:
        say("The copy is abandoned. What is in TO stays, and the site may run there.")


def _check(options: Namespace) -> None:
    """Raise `UsageError` for what cannot be meant, before anything is opened."""
    for names in (*options.namespace, options.to_namespace or ()):
        check_names(names)
    if options.to_namespace is not None and len(options.namespace) > 1:
        raise UsageError("with --to-namespace, give one --namespace or none")
    if url_in(options.target).lower().startswith("memory:"):
        raise UsageError("what is copied to memory:// is gone when this command ends")
    if options.to_namespace is None and url_in(options.source) == url_in(options.target):
        raise UsageError("FROM and TO are the same store")


def _copy_of(options: Namespace) -> SiteCopy:
    origin = place_of(Hidden(url_in(options.source)))
    if options.to_namespace is None:
        source = _source(options)
        for names in options.namespace:
            _source(options, names)  # which finds a misspelt one
        return SiteCopy(source, _target(options), clock=time.time, names=options.namespace, origin=origin)
    source = _source(options, *options.namespace)
    settings = settings_in(options)  # before TO is made
    target = inside(_target(options), options.to_namespace)
    reseal = None
    if source.path != target.path:
        reseal = Reseal(settings.value["secret"], source, target, time.time)
    return SiteCopy(source, target, clock=time.time, reseal=reseal, origin=origin)


def _source(options: Namespace, names: Names = ()) -> Store:
    return closed_at_end(options, open_existing_store(url_in(options.source), names))


def _target(options: Namespace) -> Store:
    return closed_at_end(options, open_store(url_in(options.target)))


def _warn(tallies: list[Tally]) -> None:
    """Say what an operator would not expect."""
    for tally in tallies:
        name = tally.namespace or "the root"
        if tally.newer:
            note(
                f"warning: {tally.newer} sessions in {name} of TO were newer than in FROM, and FROM won. Does a site "
                "run on TO already? It must not until the last pass is done."
            )
        if tally.expired and tally.expired == tally.read and name.rpartition("/")[2] not in LIBRARY_NAMESPACES:
            note(
                f"warning: all {tally.read} sessions in {name} of FROM have expired by this machine's clock, "
                f"{local_time(int(time.time()))}, and were left out. Is it right?"
            )
        if tally.unreadable:
            note(
                f"warning: {tally.unreadable} records in {name} of FROM are not readable and were left out: they are "
                "damaged, or no secret that was given opens them"
            )


def _finished(copy: SiteCopy, options: Namespace) -> str | None:
    """Finish, or say why not."""
    try:
        with progress(options, "records compared") as tell:
            copy.finish(skip_unreadable=options.skip_unreadable, progress=tell)
    except StoreUnavailable:
        raise
    except StoreError as error:
        return str(error)
    return None


def _tell(options: Namespace, tallies: list[Tally], seconds: float, *, is_finished: bool) -> None:
    if options.json:
        found = [asdict(tally) for tally in tallies]
        say_json({"namespaces": found, "finished": is_finished, "seconds": round(seconds, 3)})
        return
    rows = [[str(getattr(tally, name)) or "the root" for name in _COLUMNS] for tally in tallies]
    say_table([_COLUMNS, *rows])
    names = ", ".join(tally.namespace or "the root" for tally in tallies)
    say(f"Copied in {seconds:.1f} s: {names}.")
    if any(tally.namespace.rpartition("/")[2] in LIBRARY_NAMESPACES for tally in tallies):
        say("throttle and tokens are the library's own. If your application has made more, name them by --namespace.")
    if is_finished:
        say("Accounts are not copied: if they move too, copy them before the site starts.")
        say("The copy is finished. Let the site run on TO from now on, and no longer on FROM.")
    elif not options.final:
        say("The copy is not finished. Stop the site, and give the same command with --final.")


COMMAND = Command(
    name="copy",
    summary="move the sessions to another store",
    description=(
        "Move a site's sessions from the store FROM to the store TO, so that nobody is logged out. Run it while the\n"
        "site goes on, as often as you like. Then stop the site, run it once more with --final, and start the site on\n"
        "TO. Until then, TO belongs to this command alone, and whatever is in TO but not in FROM is removed there."
    ),
    examples=(
        "copy sqlite:////var/lib/mysite/sessions.db postgresql://mysite@localhost/sessions",
        "copy sqlite:////var/lib/mysite/sessions.db postgresql://mysite@localhost/sessions --final",
        "copy sqlite:////var/lib/mysite/sessions.db postgresql://mysite@localhost/sessions --to-namespace shop",
    ),
    add_arguments=_add_arguments,
    run=_run,
)

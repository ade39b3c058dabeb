"""`catalogue`: many Components as one unit."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from componentrun.cli import options
from componentrun.cli.catalogues.cluster import components_of
from componentrun.cli.catalogues.imports import import_from, print_report, write_components
from componentrun.cli.catalogues.printing import (
    checked,
    findings_of,
    print_changes,
    print_components,
    print_findings,
)
from componentrun.cli.catalogues.registries import RegistryOptions, pull_bundle, push_bundle
from componentrun.cli.catalogues.sources import read_source
from componentrun.cli.errors import EXIT_LEFT_OUT, EXIT_USER, BadRequestError
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Format, ListFormat, Output, document
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import count, size

__all__ = ["ImagePrefix", "PlainHttp", "Source", "VerifyKey", "app"]

app = typer.Typer(help="Manage catalogues of Components.", no_args_is_help=True, rich_markup_mode=None)

_CLUSTER = "cluster"
_IMPORT_EPILOG = """Exit code: 0 everything was imported, 1 the input has an unexpected form, 3 some parts were not
imported. Lines on stderr begin with `changed:`, `to do:`, `left out:` or `not imported:`."""
Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="Folder, file of a bundle, or bundle in a registry: `oci://HOST/PATH:TAG`."),
]
ImagePrefix = Annotated[
    str,
    typer.Option(
        "--image-prefix",
        metavar="PREFIX",
        help="Registry and path of the images of imported components, e.g. `registry.example.com/components`.",
    ),
]
PlainHttp = Annotated[bool, typer.Option("--plain-http", help="Reach the registry over HTTP without TLS, for tests.")]
VerifyKey = Annotated[
    Path | None,
    typer.Option(
        "--verify-key",
        metavar="FILE",
        help="File with the public key that the bundle must be signed with. Defaults to none: unsigned is accepted.",
    ),
]
TypeOption = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="Only Components of this type, e.g. `extractor`.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", metavar="SOURCE", help="Catalogue to search instead of the cluster.")
]


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with Components.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Bundle to write.")],
    image_prefix: ImagePrefix = "",
) -> None:
    """Write a catalogue to one file, and print its digest.

    The same Components give the same digest on every machine.
    """
    from componentrun.catalogue.bundle import build_bundle, digest_of  # noqa: PLC0415 - loads the models

    out = Output()
    catalogue = checked(read_source(str(folder), image_prefix=image_prefix), out, f"`{folder}`")
    bundle = build_bundle(catalogue)
    save(output, lambda file: file.write(bundle))
    out.raw(f"{digest_of(bundle)}\n")
    out.note(f"`{output}` has {count(len(catalogue.entries), 'Component')} ({size(len(bundle))})")


@app.command()
def lint(
    source: Source,
    image_prefix: ImagePrefix = "",
    plain_http: PlainHttp = False,
    output: options.Output = None,
) -> None:
    """Check a catalogue. Exit code: 0 it can be used, 1 it has errors."""
    from componentrun.catalogue.lint import errors_in  # noqa: PLC0415 - loads the models

    catalogue, out = read_source(source, image_prefix=image_prefix, plain_http=plain_http), Output()
    findings = findings_of(catalogue)
    if output is None:
        print_findings(findings, out)
    else:
        fields = ("severity", "rule", "subject", "message")
        out.raw(document([{name: getattr(finding, name) for name in fields} for finding in findings], output))
    errors = len(errors_in(findings))
    warnings = sum(finding.severity == "warning" for finding in findings)
    components = count(len(catalogue.entries), "Component")
    out.note(f"{components}: {count(errors, 'error')}, {count(warnings, 'warning')}")
    if errors:
        raise typer.Exit(EXIT_USER)


@app.command()
def push(
    source: Source,
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="`oci://HOST/PATH:TAG`.")],
    image_prefix: ImagePrefix = "",
    plain_http: PlainHttp = False,
) -> None:
    """Upload a catalogue to a registry, and print its digest there.

    Logins are those of `docker login` and `podman login`. The same Components have the same digest.
    """
    out = Output()
    catalogue = read_source(source, image_prefix=image_prefix, plain_http=plain_http)
    digest = push_bundle(checked(catalogue, out, f"`{source}`"), reference, RegistryOptions(plain_http))
    out.raw(f"{digest}\n")
    out.note(f"`{reference}` has {count(len(catalogue.entries), 'Component')}")


@app.command()
def pull(
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="`oci://HOST/PATH:TAG` or `oci://HOST/PATH@DIGEST`.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Bundle to write.")],
    verify_key: VerifyKey = None,
    plain_http: PlainHttp = False,
) -> None:
    """Download a catalogue from a registry, and print its digest there."""
    from componentrun.catalogue.bundle import read_bundle  # noqa: PLC0415 - loads the models

    out = Output()
    bundle, digest = pull_bundle(reference, RegistryOptions(plain_http, verify_key))
    catalogue = read_bundle(bundle, f"`{reference}`")
    save(output, lambda file: file.write(bundle))
    out.raw(f"{digest}\n")
    out.note(f"`{output}` has {count(len(catalogue.entries), 'Component')} ({size(len(bundle))})")


@app.command("import", epilog=_IMPORT_EPILOG)
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="File of a component index, or folder of repositories with folders `component_config`.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write to. Defaults to stdout."),
    ] = None,
    image_prefix: ImagePrefix = "",
    id_: Annotated[
        str, typer.Option("--id", metavar="ID", help="Id of the component of a repository, e.g. `vendor.ex-name`.")
    ] = "",
    tag: Annotated[
        str, typer.Option("--tag", metavar="TAG", help="Tag of the images of repositories. Defaults to `latest`.")
    ] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Make Components of components of the original interface. Nothing is written to the cluster.

    Their configuration schemas are made valid and checked with `validation: Warn`.
    """
    from componentrun.catalogue.imported.image import ImageOptions  # noqa: PLC0415 - loads the models

    out = Output()
    report = import_from(source, ImageOptions(image_prefix), id_=id_, tag=tag)
    if output is None:
        out.raw("---\n".join(document(manifest, Format.YAML) for manifest in report.manifests))
    else:
        write_components(report.manifests, output, overwrite=overwrite)
    print_report(report, out)
    out.note(f"{count(len(report.manifests), 'Component')} imported")
    if any(finding.rule in {"LeftOut", "NotImported"} for finding in report.findings):
        raise typer.Exit(EXIT_LEFT_OUT)


@app.command("list")
@options.with_session()
def list_(
    session: Session,
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help="Folder, bundle or `oci://…`. Defaults to the cluster."),
    ] = None,
    type_: TypeOption = None,
    catalogue: Annotated[
        str | None, typer.Option("--catalogue", metavar="NAME", help="Only Components that this catalogue owns.")
    ] = None,
    image_prefix: ImagePrefix = "",
    plain_http: PlainHttp = False,
    output: options.ListOutput = None,
) -> None:
    """List the Components of a catalogue, or those that runs of the namespace can use."""
    if source is not None and catalogue is not None:
        raise BadRequestError(
            f"`--catalogue {catalogue}` selects Components of the cluster", "Leave out `--catalogue`, or SOURCE."
        )
    objects = _objects(session, source or _CLUSTER, image_prefix, plain_http=plain_http)
    _print_matches(session, objects.values(), (), type_, catalogue, output)


@app.command()
@options.with_session()
def search(
    session: Session,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words that occur in names, titles, texts or categories.")
    ],
    source: SourceOption = None,
    type_: TypeOption = None,
    image_prefix: ImagePrefix = "",
    plain_http: PlainHttp = False,
    output: options.ListOutput = None,
) -> None:
    """Find Components by words, the best match first."""
    objects = _objects(session, source or _CLUSTER, image_prefix, plain_http=plain_http)
    _print_matches(session, objects.values(), words, type_, None, output)


def _print_matches(
    session: Session,
    objects: Iterable[dict[str, Any]],
    words: list[str] | tuple[str, ...],
    type_: str | None,
    catalogue: str | None,
    output: ListFormat | None,
) -> None:
    from componentrun.catalogue.search import listed  # noqa: PLC0415 - few commands need it
    from componentrun.catalogue.search import search as matches_of  # noqa: PLC0415 - likewise

    items = [
        item for item in map(listed, objects) if type_ in {None, item.type} and catalogue in {None, item.catalogue}
    ]
    print_components(matches_of(items, words), session.output, output)


@app.command()
@options.with_session()
def diff(
    session: Session,
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="Folder, bundle or `oci://…`; `cluster`: the Components of the cluster."),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Likewise.")],
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there are differences.")] = False,
    image_prefix: ImagePrefix = "",
    plain_http: PlainHttp = False,
) -> None:
    """Show what differs between two catalogues. Values at `#` keys are hidden."""
    from componentrun.catalogue.difference import compare  # noqa: PLC0415 - few commands need it

    if old == new:
        raise BadRequestError(f"OLD and NEW are both `{old}`", "Compare two catalogues.")
    sides = (_objects(session, side, image_prefix, plain_http=plain_http, whole=True) for side in (old, new))
    changes = compare(*sides)
    print_changes(changes, session.output)
    if not changes:
        session.output.note("no differences")
    elif exit_code:
        raise typer.Exit(EXIT_USER)


def _objects(
    session: Session, source: str, image_prefix: str, *, plain_http: bool, whole: bool = False
) -> dict[tuple[str, str], dict[str, Any]]:
    """The Components of a source by kind and name. What can't be read is printed.

    Raises:
        BadRequestError: `whole`, and something can't be read.
    """
    from componentrun.catalogue.lint import errors_in  # noqa: PLC0415 - loads the models

    if source == _CLUSTER:
        return {(item["kind"], item["metadata"]["name"]): item for item in components_of(session)}
    catalogue = read_source(source, image_prefix=image_prefix, plain_http=plain_http)
    print_findings(catalogue.findings, session.output)
    if whole and errors_in(catalogue.findings):
        raise BadRequestError(
            f"`{source}` has Components that can't be read, so a difference would be wrong",
            "Correct them: `componentrun catalogue lint` names them.",
        )
    return {key: entry.manifest for key, entry in catalogue.by_key().items()}

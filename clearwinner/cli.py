"""`clearwinner`: one verb for each step of a study.

Every command parses, calls one library function and prints what it returns. Heavy imports
stand inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from clearwinner import analysing
from clearwinner.analysing import STUDY
from generation.study import UserError

EXIT_USER = 2
EXIT_INTERRUPTED = 130


class Group(click.Group):
    """A command group that prints what a user can mend without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a `UserError` ends with exit code 2, Ctrl-C with 130."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(EXIT_USER)
        except KeyboardInterrupt:
            click.echo("Interrupted. Run the same command again and it goes on.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clearwinner")
def main() -> None:
    """Find out, from people, which of several text-to-image methods is better."""


@main.command()
@STUDY
def validate(study: Path) -> None:
    """Check a study file and print its plan: images, HITs, cost, network evaluations."""
    from clearwinner.output import print_plan
    from clearwinner.plan import study_plan
    from generation.study import read_study_file

    plan = study_plan(read_study_file(study))
    print_plan(plan)
    if not plan.within_budget:
        raise UserError(
            f"{study}: the crowd costs ${plan.cost.total}, more than crowd.budget_usd = "
            f"{plan.budget}. Raise the budget, or ask for fewer comparisons or assignments."
        )


@main.command()
@STUDY
@click.option("--dry-run", is_flag=True, help="Tell what it would take, from a short sample.")
def generate(study: Path, dry_run: bool) -> None:
    """Make the images that are missing. Ctrl-C is safe: run it again and it goes on.

    On several processes or machines: accelerate launch -m generation STUDY.
    """
    from clearwinner.output import generation_progress, print_estimate
    from generation.study import read_study_file

    file = read_study_file(study)
    if dry_run:
        from generation.estimate import estimate

        print_estimate(estimate(file))
        return
    from generation.run import generate as generate_images

    with generation_progress() as progress:
        made = generate_images(file, progress=progress, tell=click.echo)
    click.echo(f"{made.made} images made, {made.kept} were there: {file.study.place / 'images'}")


@main.command()
@STUDY
@click.option("--prompts", default=6, show_default=True, help="Rows of the grid.")
@click.option("--negatives", metavar="PROMPT", help="Also a strip of negative images (Figure 2).")
@click.option("--methods", "names", default="", help="Methods of the strip, with commas between.")
@click.option("--at", default="0,5,10,20,30", show_default=True, help="Steps of the strip.")
def figures(study: Path, prompts: int, negatives: str | None, names: str, at: str) -> None:
    """Draw the methods side by side with their prompts, as PNG and PDF."""
    from generation.figures import FigureError, method_grid, negative_strips
    from generation.study import read_study_file

    file = read_study_file(study)
    out = file.study.place / "figures"
    click.echo(method_grid(file, out, number=prompts))
    if negatives is None:
        return
    try:
        steps = [int(step) for step in at.split(",")]
    except ValueError:
        raise FigureError(
            f"--at {at!r}: give whole numbers with commas, such as 0,10,20."
        ) from None
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if not chosen:
        raise FigureError("--methods is missing: name those of the strip, such as cfg,answer.")
    click.echo(negative_strips(file, out, negatives, methods=chosen, at=steps))


@main.command()
@STUDY
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@click.option("--workers", default=0, help="Processes, for a whole crowd at once; a core each.")
def serve(study: Path, host: str, port: int, workers: int) -> None:
    """Serve the pages of a study's HITs, and the console, until Ctrl-C."""
    if workers:
        from clearwinner.many import serve_many

        serve_many(study, host=host, port=port, workers=workers)
        return
    from clearwinner.services import hit_server, run_until_interrupted
    from generation.study import read_study_file

    run_until_interrupted(hit_server(read_study_file(study), host=host, port=port), "HIT pages")


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("runs/marketplace"))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8010, show_default=True, help="0 takes a free one.")
@click.option("--public-url", help="Where browsers reach it, when that is another address.")
@click.option(
    "--database-url",
    envvar="CLEARWINNER_MARKETPLACE_URL",
    help="A PostgreSQL database; a SQLite file in the folder when not given.",
)
@click.option("--rate", type=float, help="Requests a second for each account, to rehearse that.")
@click.option("--invite", metavar="NAME", multiple=True, help="Make a worker's sign-in link.")
@click.option(
    "--requester", "requesters", metavar="NAME", multiple=True, help="Open another account."
)
def marketplace(folder: Path, **options: Any) -> None:
    """Run the self-hosted marketplace until Ctrl-C: the requester API and the worker site."""
    from clearwinner.services import MarketplaceOptions, marketplace_server, run_until_interrupted

    serving = marketplace_server(folder, MarketplaceOptions(**options), click.echo)
    run_until_interrupted(serving, "the marketplace")


@main.command()
@STUDY
def preview(study: Path) -> None:
    """Show a study's HITs as workers will see them; nothing is published outside."""
    from clearwinner.preview import preview as open_preview
    from clearwinner.services import wait_for_interrupt
    from generation.study import read_study_file

    with open_preview(read_study_file(study)) as addresses:
        click.echo(f"sign in first:   {addresses.sign_in}")
        click.echo(f"a HIT's preview: {addresses.preview}")
        click.echo(f"one accepted:    {addresses.accepted}")
        click.echo(f"all of them:     {addresses.listing}   (Ctrl-C stops; nothing is kept)")
        wait_for_interrupt()


def crowd_options(command: Callable[..., None]) -> Callable[..., None]:
    """The study argument and the choice of endpoint, the same for every step with the crowd."""
    command = click.option(
        "--production", "kind", flag_value="production", help="Amazon's service, closed 2026-09-30."
    )(command)
    command = click.option(
        "--sandbox", "kind", flag_value="sandbox", help="Amazon's sandbox, closed 2026-09-30."
    )(command)
    command = click.option("--endpoint", help="Address of the self-hosted marketplace.")(command)
    return STUDY(command)


@main.command()
@crowd_options
@click.option("--public-url", help="Where workers' browsers reach `clearwinner serve`.")
@click.option("--yes", is_flag=True, help="Publish without asking.")
def launch(
    study: Path, endpoint: str | None, kind: str | None, public_url: str | None, yes: bool
) -> None:
    """Publish the HITs that are missing, after showing what they cost."""
    from clearwinner.crowd import open_crowd
    from clearwinner.output import print_launch_plan

    with open_crowd(study, endpoint=endpoint, kind=kind, public_url=public_url) as crowd:
        plan = crowd.plan()
        print_launch_plan(plan)
        if not plan.to_publish:
            click.echo("Nothing is left to publish.")
            return
        if kind == "production":
            _confirm_amount(str(plan.cost.total))
        elif not yes and not click.confirm(f"Publish {plan.to_publish} HITs?"):
            raise UserError("Nothing was published. Say yes, or give --yes.")
        launched = crowd.launch()
        click.echo(f"{launched.published} HITs published, {launched.found} found again.")


def _confirm_amount(amount: str) -> None:
    typed = click.prompt(f"This spends real money. Type the total ({amount}) to go on")
    if typed.strip().lstrip("$") != amount:
        raise UserError(f"{typed!r} is not {amount}: nothing was published.")


@main.command()
@crowd_options
@click.option("--watch", is_flag=True, help="Show it again and again until Ctrl-C.")
@click.option("--every", default=10.0, show_default=True, help="Seconds between two looks.")
def status(study: Path, endpoint: str | None, kind: str | None, watch: bool, every: float) -> None:
    """Say how far a study is: HITs, assignments, votes, cost."""
    from clearwinner.crowd import open_crowd
    from clearwinner.output import print_status, watch_status

    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        if watch:
            watch_status(crowd.status, every)
        else:
            print_status(crowd.status())


@main.command()
@crowd_options
def collect(study: Path, endpoint: str | None, kind: str | None) -> None:
    """Bring submitted assignments in; as often as you like, each counts once."""
    from clearwinner.crowd import open_crowd

    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        collected = crowd.collect()
    click.echo(f"{collected.new} new assignments, {collected.seen} seen before.")
    for problem in collected.problems:
        click.echo(f"problem: {problem}", err=True)


@main.command()
@crowd_options
@click.option("--yes", is_flag=True, help="Approve without asking.")
def approve(study: Path, endpoint: str | None, kind: str | None, yes: bool) -> None:
    """Approve, and so pay, every collected assignment whose answer could be read."""
    from clearwinner.crowd import open_crowd

    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        if not yes and not click.confirm("Approve and pay all collected assignments?"):
            raise UserError("Nothing was approved. Say yes, or give --yes.")
        approved = crowd.approve()
    click.echo(f"{approved.approved} approved, {approved.already} were before.")


@main.command()
@crowd_options
@click.option("--reject", "rejected", metavar="ASSIGNMENT", multiple=True, help="Reject this one.")
@click.option("--reason", help="Why, in words that the worker reads; needed to reject.")
def review(
    study: Path,
    endpoint: str | None,
    kind: str | None,
    rejected: tuple[str, ...],
    reason: str | None,
) -> None:
    """Show assignments that look careless; reject those that are named, with a reason."""
    from clearwinner.crowd import open_crowd
    from clearwinner.output import print_flags

    if rejected and not (reason or "").strip():
        raise UserError("--reject needs --reason: the worker reads it, and loses the reward.")
    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        if rejected:
            click.echo(f"{crowd.reject(rejected, reason or '')} rejected.")
        else:
            print_flags(crowd.flags())


@main.command()
@crowd_options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Pay without asking.")
def bonus(study: Path, file: Path, endpoint: str | None, kind: str | None, yes: bool) -> None:
    """Pay the bonuses of a CSV FILE (assignment_id, amount_usd, reason), each once."""
    from clearwinner.crowd import open_crowd
    from mturk.bonuses import bonus_cost, read_bonuses

    rows = read_bonuses(file)
    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        wanted = crowd.unpaid(rows)
        total = bonus_cost(wanted).total
        click.echo(f"{len(wanted)} of {len(rows)} bonuses are unpaid: ${total} with fees.")
        if not wanted:
            return
        if kind == "production":
            _confirm_amount(str(total))
        elif not yes and not click.confirm("Pay them?"):
            raise UserError("Nothing was paid. Say yes, or give --yes.")
        paid = crowd.pay_bonuses(rows)
    click.echo(f"{paid.paid} paid, {paid.already} were before.")


@main.command()
@crowd_options
@click.option("--yes", is_flag=True, help="Extend without asking.")
def extend(study: Path, endpoint: str | None, kind: str | None, yes: bool) -> None:
    """Ask again for votes that comparisons lost: expired, unreadable or rejected ones."""
    from clearwinner.crowd import open_crowd

    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        lack = crowd.lack()
        click.echo(f"{lack.assignments} assignments are lacking: at most ${lack.cost} with fees.")
        if not lack.assignments:
            return
        if kind == "production":
            _confirm_amount(str(lack.cost))
        elif not yes and not click.confirm("Ask for them?"):
            raise UserError("Nothing was extended. Say yes, or give --yes.")
        extended = crowd.extend()
    click.echo(f"{extended.assignments} assignments asked for on {extended.hits} HITs.")


@main.command("host-images")
@STUDY
@click.option("--to", "target", required=True, help="A folder, or s3://bucket/prefix.")
def host_images(study: Path, target: str) -> None:
    """Put a study's images on another host, for CLEARWINNER_IMAGE_URL."""
    from clearwinner.crowd import registered
    from clearwinner.output import counting
    from hit_server.hosting import host_images

    with registered(study) as (session, record), counting("images") as progress:
        new = host_images(session, record, target, progress=progress)
    click.echo(f"{new} images are new in {target}. Set CLEARWINNER_IMAGE_URL to its address.")


@main.command()
@crowd_options
@click.option("--yes", is_flag=True, help="Close without asking.")
def close(study: Path, endpoint: str | None, kind: str | None, yes: bool) -> None:
    """End a study's HITs now, and delete those whose work is all reviewed."""
    from clearwinner.crowd import open_crowd

    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        if not yes and not click.confirm("Offer the study's HITs no more?"):
            raise UserError("Nothing was closed. Say yes, or give --yes.")
        closed = crowd.close()
    click.echo(
        f"{closed.expired} ended, {closed.deleted} deleted, {closed.kept} kept: they have work "
        "under way or not reviewed."
    )


@main.command()
@crowd_options
@click.option("--subject", required=True)
@click.option("--text", required=True)
@click.option("--worker", "workers", metavar="ID", multiple=True, help="All when none is named.")
def message(
    study: Path,
    endpoint: str | None,
    kind: str | None,
    subject: str,
    text: str,
    workers: tuple[str, ...],
) -> None:
    """Write to the workers of a study, once each."""
    from clearwinner.crowd import open_crowd

    with open_crowd(study, endpoint=endpoint, kind=kind) as crowd:
        sent = crowd.message(subject, text, workers)
    click.echo(f"{sent.sent} sent, {sent.before} had it before.")
    for reason in sent.failed:
        click.echo(f"not sent: {reason}", err=True)


@main.command()
@STUDY
@click.option("--workers", default=24, show_default=True, help="Simulated workers.")
def rehearse(study: Path, workers: int) -> None:
    """Run a whole study here, with simulated workers in place of people."""
    from clearwinner.rehearsal.run import rehearse as rehearse_study
    from generation.study import read_study_file

    rehearse_study(read_study_file(study), n_workers=workers)


for command in (analysing.report, analysing.export, analysing.power):
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())

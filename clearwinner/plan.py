"""What a study will make and cost, worked out from its file alone."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from generation.options import network_evaluations
from generation.plan import Generation, drawn_with, settled
from generation.prompts import read_prompts
from generation.study import StudyFile
from hit_server.hits import checked_hits
from mturk.batches import hit_sizes
from mturk.costs import Cost, cost_of
from mturk.crowd import Crowd


@dataclass(frozen=True)
class StudyPlan:
    """Counts and dollars of a study."""

    title: str
    prompts: int
    seeds: int
    methods: tuple[str, ...]
    images: int
    evaluations: dict[str, int | None]
    """Network evaluations of each method, all its images together; None where not known."""
    groups: tuple[tuple[str, ...], ...]
    questions: tuple[str, ...]
    comparisons: int
    hits: int
    assignments: int
    votes: int
    cost: Cost
    budget: Decimal | None

    @property
    def within_budget(self) -> bool:
        """Whether the crowd's cost stays within the study's budget."""
        return self.budget is None or self.cost.total <= self.budget


def study_plan(file: StudyFile) -> StudyPlan:
    """Check every table of a study file and work out its plan.

    Raises:
        StudyError: for the first table that does not hold.
    """
    from analysis.settings import ReportTable

    study = file.study
    generation = settled(file.table("generation", Generation), file.path.parent)
    hits = checked_hits(file)
    crowd = file.table("crowd", Crowd)
    file.table("report", ReportTable)
    prompts = len(read_prompts(generation.prompts, study.seed, base=file.path.parent))
    scenes = prompts * len(generation.seeds)
    groups = tuple(tuple(group) for group in hits.comparisons)
    comparisons = min(scenes, hits.pairs or scenes) * len(groups)
    sizes = hit_sizes(comparisons, hits.per_hit, crowd)
    evaluations = {
        name: None if (each := _evaluations(generation, name)) is None else scenes * each
        for name in generation.methods
    }
    return StudyPlan(
        title=study.title,
        prompts=prompts,
        seeds=len(generation.seeds),
        methods=tuple(generation.methods),
        images=scenes * len(generation.methods),
        evaluations=evaluations,
        groups=groups,
        questions=tuple(question.key for question in hits.questions),
        comparisons=comparisons,
        hits=len(sizes),
        assignments=sum(sizes),
        votes=comparisons * crowd.assignments * len(hits.questions),
        cost=cost_of(sizes, crowd.reward_usd, masters=crowd.masters),
        budget=crowd.budget_usd,
    )


def _evaluations(table: Generation, name: str) -> int | None:
    return network_evaluations(drawn_with(table)[name], table.steps, table.scheduler)

"""The queue as it is now: what waits, what failed, who works, and when each job of the timetable last ran."""

import redis
from flask import request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_login import current_user
from rq import Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from app.admin.access import owners_only
from app.admin.model_view import AdminPage
from app.extensions import db
from app.jobs import connect, last_runs, queue
from app.models.base import utcnow
from app.models.operations.audit_log import AdminChange
from app.models.operations.webhook_event import stuck

SHOWN = 100


class QueuePage(AdminPage):
    @expose("/")
    def index(self) -> str:
        try:
            jobs = queue()
            ids = failed_jobs().get_job_ids(end=SHOWN - 1, cleanup=False)
            context = {
                "waiting": jobs.count,
                "running": StartedJobRegistry(queue=jobs).get_job_count(cleanup=False),
                "failed": [job for job in map(jobs.fetch_job, ids) if job],
                "workers": Worker.all(connection=connect(), serializer=JSONSerializer),
                "runs": sorted(last_runs().items()),
            }
        except redis.RedisError as error:
            context = {"away": type(error).__name__}
        return self.render("admin/queue.html", stuck=stuck(utcnow()), **context)

    @expose("/retry/", methods=("POST",))
    @owners_only
    def retry_view(self) -> ResponseReturnValue:
        """Put failed jobs back on the queue: the one that is named, or all of them."""
        registry = failed_jobs()
        asked = request.form.get("id")
        again = [asked] if asked else registry.get_job_ids(cleanup=False)
        count = sum(requeued(registry, job_id) for job_id in again)
        db.session.commit()
        return self.go_back(f"{count} {'job is' if count == 1 else 'jobs are'} back in the queue.", ".index")


def failed_jobs() -> FailedJobRegistry:
    return FailedJobRegistry(queue=queue())


def requeued(registry: FailedJobRegistry, job_id: str) -> bool:
    """Whether it was there; jobs survive running twice. A line in the audit log says so, by the name of the job."""
    try:
        job = registry.requeue(job_id)
    except (NoSuchJobError, InvalidJobOperation):
        return False
    named = " ".join(map(str, [job.func_name, *job.args]))
    columns = {"action": "try again", "subject": "jobs", "subject_id": job.id, "changes": {"failed": [None, named]}}
    db.session.add(AdminChange(actor_id=current_user.user_id, **columns))
    return True

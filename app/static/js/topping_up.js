/* A recharge is being paid: what was asked for waits on the page, and goes off by itself once the credits are there. */

const PATIENCE = 120_000;
export const WORDS = "Auto-recharge is charging your card. Your message will send automatically.";

/* Does `work`, again and again while it is refused for a recharge. `wait(seconds)` says whether to go on. */
export async function pastRecharge(work, wait) {
  const until = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await work();
    } catch (problem) {
      if (problem.code !== "recharge_in_progress" || Date.now() > until) throw problem;
      if (!(await wait(problem.retryAfter ?? 3))) throw problem;
    }
  }
}

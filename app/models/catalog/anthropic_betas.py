"""The betas of Anthropic's that the gateway lets pass, until an admin says otherwise."""

ANTHROPIC_BETAS = ",".join(
    (
        "claude-code-20250219", "interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14",
        "token-efficient-tools-2025-02-19", "output-128k-2025-02-19", "prompt-caching-2024-07-31",
        "extended-cache-ttl-2025-04-11", "pdfs-2024-09-25", "token-counting-2024-11-01", "effort-2025-11-24",
        "structured-outputs-2025-11-13", "context-management-2025-06-27", "computer-use-2025-01-24",
        "computer-use-2025-11-24", "model-context-window-exceeded-2025-08-26", "task-budgets-2026-03-13",
        "thinking-display-updates-2026-08-18", "prompt-caching-scope-2026-01-05", "redact-thinking-2026-02-12",
        "structured-outputs-2025-12-15", "thinking-token-count-2026-05-13", "tool-provenance-2026-10-26",
        "mid-conversation-tool-changes-2026-07-01", "mid-conversation-system-2026-04-07", "timing-2026-09-09",
        "mid-conversation-system-clear-at-2026-08-21", "request-tags-2026-08-21",
    )
)  # fmt: skip
"""None of these has the provider run tools, answer faster, or read more than a price row says."""

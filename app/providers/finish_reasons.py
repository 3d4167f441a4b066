"""Why an answer ended, in our words (stop, length, filter, refusal, tool_calls), from each vendor's own."""

ENDS = {
    "stop": "stop stop_sequence end end_turn eos eos_token complete finished normal",
    "length": "max_tokens max_output_tokens model_length length_limit token_limit error_limit "
    "context_length_exceeded context_window_exceeded model_context_window_exceeded",
    "filter": "content_filter content_filtered sensitive safety image_safety recitation prohibited_content blocklist "
    "spii guardrail_intervened error_toxic",
    "tool_calls": "function_call tool_call tool_use",
    "error": "abort aborted cancelled canceled user_cancel network_error insufficient_system_resource "
    "internal_error server_error timeout time_limit overloaded engine_overloaded "
    "malformed_function_call function_call_filter",
}
FINISHES = {reason: end for end, reasons in ENDS.items() for reason in reasons.split()}
FAILED = "error"
"""An answer that its server broke off is none, however whole its stream looks."""


def finish_of(reason: object) -> str:
    """Why it ended, in our words; a vendor's own one as it is, where it stands for none of ours.

    In any case and with any dash; Gemini puts its own word behind (`content_filter: RECITATION`).
    """
    said = str(reason)[:32]
    word = said.partition(":")[0].strip().lower().replace("-", "_")
    return FINISHES.get(word, word if word in ENDS else said)

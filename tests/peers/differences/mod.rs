//! Where ours is to differ from runit and s6: one file for each, which says what the peer does, what ours does, and why.

mod check_in_place_of_notifyoncheck;
mod check_is_run_by_supervise;
mod control_is_not_waited_for_without_end;
mod deaths_are_kept_where_asked_for;
mod exit_waits_for_the_end;
mod finish_can_give_up;
mod finish_has_a_limit;
mod finish_is_told_of_signals;
mod finish_leaves_nothing;
mod finish_needs_a_run;
mod kill_reaches_nobody_while_finish_runs;
mod logger_has_its_finish;
mod no_session;
mod restart_in_time;
mod run_has_no_argument;
mod supervisor_was_killed;
mod tries_again_at_once;
mod units_of_time;

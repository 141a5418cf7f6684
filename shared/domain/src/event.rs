//! PagerDuty's documented webhook event types, each with all that we decide about it.
//!
//! PagerDuty announces that types are added: a name that is not in this table is no error.

use crate::status::Status;

/// What the table says about an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub name: &'static str,
    /// Ours, for lists; most lines of the log begin with it.
    pub words: &'static str,
    /// The status that it brings an incident into, if it is a status change at all.
    pub status: Option<Status>,
    /// Whether people in the channel must notice it. An edited card notifies nobody, so these get a reply in its thread.
    pub noticeable: bool,
    pub subscribed: Subscribed,
}

/// Whether we ask PagerDuty to tell us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    Always,
    /// It takes a scope that the app can do without, and without it PagerDuty refuses the whole subscription.
    IfAllowed,
    Never,
}

const NOTICE: bool = true;
const QUIET: bool = false;
const ASK: Subscribed = Subscribed::Always;
/// The scope is `incident_workflows.read`.
const MAY: Subscribed = Subscribed::IfAllowed;
/// No subscription for one service can see that a service is created.
const SKIP: Subscribed = Subscribed::Never;

macro_rules! event_types {
    ($($variant:ident $name:literal $words:literal $status:expr, $noticeable:ident $subscribed:ident;)+) => {
        /// An event type of V3 webhooks (webhook docs, "Overview").
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        impl EventType {
            /// Every documented type, in the order of PagerDuty's names.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// All that we decide about it.
            #[must_use]
            pub const fn row(self) -> Row {
                use Status::{Acknowledged, Resolved, Triggered};
                let (name, words, status, noticeable, subscribed) = match self {
                    $(Self::$variant => ($name, $words, $status, $noticeable, $subscribed),)+
                };
                Row { name, words, status, noticeable, subscribed }
            }
        }
    };
}

event_types! {
    Acknowledged      "incident.acknowledged"                 "Acknowledged"           Some(Acknowledged), NOTICE ASK;
    ActionCreated     "incident.action_invocation.created"    "Automation action"      None,               QUIET  ASK;
    ActionTerminated  "incident.action_invocation.terminated" "Automation action"      None,               QUIET  ASK;
    ActionUpdated     "incident.action_invocation.updated"    "Automation action"      None,               QUIET  ASK;
    Note              "incident.annotated"                    "Note"                   None,               NOTICE ASK;
    ConferenceBridge  "incident.conference_bridge.updated"    "Conference bridge"      None,               NOTICE ASK;
    CustomFields      "incident.custom_field_values.updated"  "Custom fields changed"  None,               QUIET  ASK;
    Delegated         "incident.delegated"                    "Delegated"              None,               NOTICE ASK;
    Escalated         "incident.escalated"                    "Escalated"              None,               NOTICE ASK;
    TypeChanged       "incident.incident_type.changed"        "Incident type changed"  None,               QUIET  ASK;
    PriorityChanged   "incident.priority_updated"             "Priority changed"       None,               NOTICE ASK;
    Reassigned        "incident.reassigned"                   "Reassigned"             None,               NOTICE ASK;
    Reopened          "incident.reopened"                     "Reopened"               Some(Triggered),    NOTICE ASK;
    Resolved          "incident.resolved"                     "Resolved"               Some(Resolved),     NOTICE ASK;
    ResponderAdded    "incident.responder.added"              "Help requested"         None,               NOTICE ASK;
    ResponderReplied  "incident.responder.replied"            "Help request answered"  None,               NOTICE ASK;
    Roles             "incident.role.assigned"                "Incident roles changed" None,               QUIET  ASK;
    ServiceChanged    "incident.service_updated"              "Moved to service"       None,               NOTICE ASK;
    StatusUpdate      "incident.status_update_published"      "Status update"          None,               NOTICE ASK;
    TaskCompleted     "incident.task.completed"               "Task"                   None,               QUIET  ASK;
    TaskCreated       "incident.task.created"                 "Task"                   None,               QUIET  ASK;
    TaskUpdated       "incident.task.updated"                 "Task"                   None,               QUIET  ASK;
    Triggered         "incident.triggered"                    "Triggered"              Some(Triggered),    QUIET  ASK;
    Unacknowledged    "incident.unacknowledged"               "Acknowledgement ended"  Some(Triggered),    NOTICE ASK;
    WorkflowCompleted "incident.workflow.completed"           "Workflow"               None,               NOTICE MAY;
    WorkflowStarted   "incident.workflow.started"             "Workflow"               None,               NOTICE MAY;
    ServiceCreated    "service.created"                       "Service created"        None,               QUIET  SKIP;
    ServiceFields     "service.custom_field_values.updated"   "Service fields changed" None,               QUIET  ASK;
    ServiceDeleted    "service.deleted"                       "Service deleted"        None,               QUIET  ASK;
    ServiceUpdated    "service.updated"                       "Service changed"        None,               QUIET  ASK;
}

impl EventType {
    /// `None` for a type that is not documented.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }

    /// PagerDuty's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

/// PagerDuty's names of the types that we ask for, whatever the app may read.
#[must_use]
pub fn subscribed() -> Vec<&'static str> {
    names(|subscribed| subscribed == Subscribed::Always)
}

/// The same, and those that PagerDuty tells an app with more scopes.
#[must_use]
pub fn subscribed_if_allowed() -> Vec<&'static str> {
    names(|subscribed| subscribed != Subscribed::Never)
}

fn names(of: impl Fn(Subscribed) -> bool) -> Vec<&'static str> {
    EventType::ALL.iter().map(|known| known.row()).filter(|row| of(row.subscribed)).map(|row| row.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Happening;

    #[test]
    fn every_type_is_found_by_its_name_alone() {
        for known in EventType::ALL {
            assert_eq!(EventType::from_name(known.name()), Some(*known));
        }
        assert_eq!(EventType::from_name("incident.teleported"), None);
    }

    #[test]
    fn what_people_must_hear_gets_a_reply_and_the_rest_does_not() {
        let quiet: Vec<&str> =
            EventType::ALL.iter().filter(|known| !known.row().noticeable).map(|known| known.name()).collect();
        assert_eq!(
            quiet,
            [
                "incident.action_invocation.created",
                "incident.action_invocation.terminated",
                "incident.action_invocation.updated",
                "incident.custom_field_values.updated",
                "incident.incident_type.changed",
                "incident.role.assigned",
                "incident.task.completed",
                "incident.task.created",
                "incident.task.updated",
                "incident.triggered",
                "service.created",
                "service.custom_field_values.updated",
                "service.deleted",
                "service.updated",
            ]
        );
    }

    #[test]
    fn what_happened_knows_its_type_by_its_change() {
        let task = |change: &str| Happening::Task { summary: String::new(), change: change.to_owned() }.event_type();
        assert_eq!(
            ["created", "updated", "completed", "of a later version"].map(task),
            [EventType::TaskCreated, EventType::TaskUpdated, EventType::TaskCompleted, EventType::TaskUpdated]
        );
    }
}

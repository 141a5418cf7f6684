//! Whom and what an account has: services, people, priorities, who is on call, which incidents are open.

use domain::ids::{PdUserId, PolicyId, PriorityId, ServiceId, SubscriptionId};
use domain::incident::{ServiceRef, Status};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::model::{self, PAGE};
use super::{Api, ApiError, Auth, Page, RestIncident, User};
use crate::wire::{self, text};

/// Where a list of those on call ends: 5 pages, far more than a message can show.
const MOST_ON_CALL: u32 = 5 * PAGE;

const MAX_LOGGED_ID: usize = 40;

/// Which incidents are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not resolved, the oldest first.
    Open,
    /// The same, the newest first.
    Newest,
    /// The same, of those that were opened in this time. PagerDuty takes at most six months at once.
    NewestOf { since: Timestamp, until: Timestamp },
    /// Those that are resolved, of those that were opened in this time, the oldest first.
    Over { since: Timestamp, until: Timestamp },
    /// Those that were opened in this time, whatever became of them, the oldest first.
    Created { since: Timestamp, until: Timestamp },
}

impl Which {
    fn query(self) -> Vec<(&'static str, String)> {
        let times = |since: Timestamp, until: Timestamp| [("since", since.to_string()), ("until", until.to_string())];
        // PagerDuty leaves out what is older than a month otherwise, however open it is (REST docs, "List incidents").
        let ever = || ("date_range", "all".to_owned());
        let sorted = |order: &str| ("sort_by", format!("created_at:{order}"));
        let with = |statuses: &[Status]| statuses.iter().map(|one| ("statuses[]", name_of(*one).to_owned())).collect();
        let mut pairs: Vec<_> = match self {
            Self::Open | Self::Newest | Self::NewestOf { .. } => with(&[Status::Triggered, Status::Acknowledged]),
            Self::Over { .. } => with(&[Status::Resolved]),
            Self::Created { .. } => Vec::new(),
        };
        match self {
            Self::Open => pairs.extend([ever(), sorted("asc")]),
            Self::Newest => pairs.extend([ever(), sorted("desc")]),
            Self::NewestOf { since, until } => {
                pairs.extend(times(since, until));
                pairs.push(sorted("desc"));
            }
            Self::Over { since, until } | Self::Created { since, until } => {
                pairs.extend(times(since, until));
                pairs.push(sorted("asc"));
            }
        }
        pairs
    }
}

/// A webhook subscription in PagerDuty's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSubscription {
    pub id: SubscriptionId,
    /// The service that it is for; `None` for one of a team or of the whole account.
    pub service: Option<ServiceId>,
    pub url: Url,
    pub state: SubscriptionState,
}

/// A service, with what opening an incident on it sets off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub id: ServiceId,
    pub name: String,
    pub html_url: Option<Url>,
    pub escalation_policy: Option<PolicyRef>,
}

/// An escalation policy by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRef {
    pub id: PolicyId,
    pub name: String,
}

/// A person to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRef {
    pub id: PdUserId,
    pub name: String,
    pub email: Option<String>,
}

/// One of the account's priorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    pub id: PriorityId,
    /// `P1` and the like; an account can rename them.
    pub name: String,
}

/// One person on one level of an escalation policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnCall {
    pub policy: PolicyId,
    /// 1 is told first.
    pub level: u32,
    pub user: String,
    /// The schedule's name; `None` for a person who is on the level directly.
    pub schedule: Option<String>,
    /// When the shift ends; `None` for one without an end.
    pub until: Option<Timestamp>,
}

/// Whether deliveries come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// They do.
    Active,
    /// It was switched off, by a person or by PagerDuty after three dropped deliveries. Until it is on again, events are
    /// lost (webhook docs, "Behavior").
    Disabled,
    /// There is no such subscription any more.
    Gone,
}

impl Api {
    /// One service.
    pub async fn service(&self, auth: Auth<'_>, id: &ServiceId) -> Result<Service, ApiError> {
        service(&self.call(Method::GET, &["services", id.as_str()], &[], auth, None).await?)
    }

    /// A page of 100 of the services whose name contains `query` (all, if it is empty), by name.
    pub async fn services(&self, auth: Auth<'_>, query: &str, offset: u32) -> Result<Page<ServiceRef>, ApiError> {
        self.find_services(auth, query, offset, PAGE).await
    }

    /// As [`Api::services`], with a page of 1 to 100.
    pub async fn find_services(
        &self,
        auth: Auth<'_>,
        query: &str,
        offset: u32,
        limit: u32,
    ) -> Result<Page<ServiceRef>, ApiError> {
        let limit = limit.clamp(1, PAGE);
        let (size, start) = (limit.to_string(), offset.to_string());
        let mut pairs = vec![("limit", size.as_str()), ("offset", start.as_str()), ("sort_by", "name")];
        pairs.extend(searched(query));
        let answer = self.call(Method::GET, &["services"], &pairs, auth, None).await?;
        let Rows { items, skipped } = rows(&answer, "services", wire::service)?;
        Ok(Page { items, skipped, next: model::next(&answer, offset, limit) })
    }

    /// One person.
    pub async fn user(&self, auth: Auth<'_>, id: &PdUserId) -> Result<User, ApiError> {
        model::user(&self.call(Method::GET, &["users", id.as_str()], &[], auth, None).await?)
    }

    /// The first 1 to 100 people whose name or address contains `query` (any, if it is empty).
    pub async fn users(&self, auth: Auth<'_>, query: &str, limit: u32) -> Result<Vec<UserRef>, ApiError> {
        let size = limit.clamp(1, PAGE).to_string();
        let pairs: Vec<(&str, &str)> = [("limit", size.as_str())].into_iter().chain(searched(query)).collect();
        list(&self.call(Method::GET, &["users"], &pairs, auth, None).await?, "users", user_ref)
    }

    /// The account's priorities, the most severe first. Many accounts have none: whether PagerDuty then answers with an
    /// empty list or a refusal depends on the plan.
    pub async fn priorities(&self, auth: Auth<'_>) -> Result<Vec<Priority>, ApiError> {
        let size = PAGE.to_string();
        match self.call(Method::GET, &["priorities"], &[("limit", &size)], auth, None).await {
            Err(ApiError::Refused { status: 402..=404, .. }) => Ok(Vec::new()),
            answer => list(&answer?, "priorities", priority),
        }
    }

    /// Who is on call now, by policy and level; nobody, if no policy is given.
    ///
    /// # Errors
    /// [`ApiError`]. PagerDuty limits these calls more than others.
    pub async fn oncalls(&self, auth: Auth<'_>, policies: &[PolicyId]) -> Result<Vec<OnCall>, ApiError> {
        // Without a policy PagerDuty would answer with everybody in the account.
        let (mut found, mut offset) = (Vec::new(), (!policies.is_empty()).then_some(0));
        let size = PAGE.to_string();
        while let Some(start) = offset.filter(|start| *start < MOST_ON_CALL) {
            let place = start.to_string();
            let mut pairs = vec![("limit", size.as_str()), ("offset", place.as_str())];
            pairs.extend([("earliest", "true"), ("include[]", "users")]);
            pairs.extend(policies.iter().map(|policy| ("escalation_policy_ids[]", policy.as_str())));
            let answer = self.call(Method::GET, &["oncalls"], &pairs, auth, None).await?;
            found.extend(list(&answer, "oncalls", on_call)?);
            offset = model::next(&answer, start, PAGE);
        }
        found.sort_by(|one, other| (&one.policy, one.level).cmp(&(&other.policy, other.level)));
        Ok(found)
    }

    /// The newest 1 to 100 incidents that are not resolved, of these services (of all, if none is given), and only those
    /// that are assigned to a person, if one is given. `next` says no more than that there are others.
    pub async fn open_incidents(
        &self,
        auth: Auth<'_>,
        services: &[ServiceId],
        assigned_to: Option<&PdUserId>,
        limit: u32,
    ) -> Result<Page<RestIncident>, ApiError> {
        let open = [Status::Triggered, Status::Acknowledged];
        self.newest(auth, &open, services, assigned_to, (0, limit.clamp(1, PAGE))).await
    }

    /// Up to 100 incidents in these statuses, of these services (of all, if none is given), and only those that are assigned to
    /// a person, if one is given: the newest first, from `offset` on. What leaves the list meanwhile draws others over the
    /// edge between two pages. Nobody is assigned to a resolved incident.
    pub async fn newest_incidents(
        &self,
        auth: Auth<'_>,
        statuses: &[Status],
        services: &[ServiceId],
        assigned_to: Option<&PdUserId>,
        offset: u32,
    ) -> Result<Page<RestIncident>, ApiError> {
        self.newest(auth, statuses, services, assigned_to, (offset, PAGE)).await
    }

    async fn newest(
        &self,
        auth: Auth<'_>,
        statuses: &[Status],
        services: &[ServiceId],
        assigned_to: Option<&PdUserId>,
        (offset, limit): (u32, u32),
    ) -> Result<Page<RestIncident>, ApiError> {
        let (size, start) = (limit.to_string(), offset.to_string());
        let mut pairs = vec![("limit", size.as_str())];
        pairs.extend((offset > 0).then_some(("offset", start.as_str())));
        pairs.extend(statuses.iter().map(|status| ("statuses[]", name_of(*status))));
        // PagerDuty leaves out what is older than a month otherwise, however open it is (REST docs, "List incidents").
        pairs.extend([("date_range", "all"), ("sort_by", "created_at:desc")]);
        pairs.extend(services.iter().map(|service| ("service_ids[]", service.as_str())));
        pairs.extend(assigned_to.map(|user| ("user_ids[]", user.as_str())));
        let answer = self.call(Method::GET, &["incidents"], &pairs, auth, None).await?;
        let Rows { items, skipped } = rows(&answer, "incidents", model::rest_incident)?;
        Ok(Page { items, skipped, next: model::next(&answer, offset, limit) })
    }

    /// Up to 100 incidents of these services (of all, if none is given), from `offset` on.
    pub async fn incidents(
        &self,
        auth: Auth<'_>,
        services: &[ServiceId],
        which: Which,
        offset: u32,
    ) -> Result<Page<RestIncident>, ApiError> {
        let (size, start, which) = (PAGE.to_string(), offset.to_string(), which.query());
        let mut pairs = vec![("limit", size.as_str()), ("offset", start.as_str())];
        pairs.extend(which.iter().map(|(key, value)| (*key, value.as_str())));
        pairs.extend(services.iter().map(|service| ("service_ids[]", service.as_str())));
        let answer = self.call(Method::GET, &["incidents"], &pairs, auth, None).await?;
        let Rows { items, skipped } = rows(&answer, "incidents", model::rest_incident)?;
        Ok(Page { items, skipped, next: model::next(&answer, offset, PAGE) })
    }

    /// Up to 100 webhook subscriptions of the account, whoever made them, from `offset` on.
    pub async fn subscriptions(&self, auth: Auth<'_>, offset: u32) -> Result<Page<ListedSubscription>, ApiError> {
        let (size, start) = (PAGE.to_string(), offset.to_string());
        let pairs = [("limit", size.as_str()), ("offset", start.as_str())];
        let answer = self.call(Method::GET, &["webhook_subscriptions"], &pairs, auth, None).await?;
        let Rows { items, skipped } = rows(&answer, "webhook_subscriptions", listed_subscription)?;
        Ok(Page { items, skipped, next: model::next(&answer, offset, PAGE) })
    }

    /// Whether a subscription still delivers.
    pub async fn subscription_state(&self, auth: Auth<'_>, id: &SubscriptionId) -> Result<SubscriptionState, ApiError> {
        let answer = match self.call(Method::GET, &["webhook_subscriptions", id.as_str()], &[], auth, None).await {
            Err(error) if error.is_not_found() => return Ok(SubscriptionState::Gone),
            answer => answer?,
        };
        let found = answer.get("webhook_subscription").filter(|found| found.is_object());
        let found = found.ok_or(ApiError::Unreadable { what: "webhook subscription" })?;
        Ok(state(found))
    }
}

/// More services than this would not fit into an address.
const MOST_SERVICES: usize = 50;

/// The services to which a list of incidents can be narrowed: these, or none, which makes it a list of all, if they are too many.
#[must_use]
pub fn narrowing(services: &[ServiceId]) -> &[ServiceId] {
    if services.len() > MOST_SERVICES { &[] } else { services }
}

fn name_of(status: Status) -> &'static str {
    match status {
        Status::Triggered => "triggered",
        Status::Acknowledged => "acknowledged",
        Status::Resolved => "resolved",
    }
}

fn state(subscription: &Value) -> SubscriptionState {
    let says = |value: &Value, key: &str, wanted: bool| value.get(key).and_then(Value::as_bool) == Some(wanted);
    let is_dropped =
        subscription.get("delivery_method").is_some_and(|method| says(method, "temporarily_disabled", true));
    let is_disabled = says(subscription, "active", false) || is_dropped;
    if is_disabled { SubscriptionState::Disabled } else { SubscriptionState::Active }
}

fn listed_subscription(value: &Value) -> Option<ListedSubscription> {
    let filter = value.get("filter").filter(|filter| text(filter, "type") == Some("service_reference"));
    Some(ListedSubscription {
        id: SubscriptionId::new(text(value, "id")?).ok()?,
        service: filter.and_then(|filter| text(filter, "id")).and_then(|id| ServiceId::new(id).ok()),
        url: text(value.get("delivery_method")?, "url")?.parse().ok()?,
        state: state(value),
    })
}

fn searched(query: &str) -> Option<(&'static str, &str)> {
    Some(("query", query.trim())).filter(|(_, query)| !query.is_empty())
}

/// The readable entries of a list: one that is not must not hide the others.
pub(super) fn list<T>(
    answer: &Value,
    key: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, ApiError> {
    let entries = answer.get(key).and_then(Value::as_array).ok_or(ApiError::Unreadable { what: key })?;
    Ok(entries.iter().filter_map(read).collect())
}

/// A list of which somebody draws conclusions from what is not in it.
struct Rows<T> {
    items: Vec<T>,
    skipped: usize,
}

/// As [`list`]. What cannot be read is counted, and its id is in the log.
fn rows<T>(answer: &Value, key: &'static str, read: impl Fn(&Value) -> Option<T>) -> Result<Rows<T>, ApiError> {
    let read_or_log = |entry: &Value| {
        let item = read(entry);
        if item.is_none() {
            let id = wire::bounded(text(entry, "id").unwrap_or("none"), MAX_LOGGED_ID);
            tracing::error!(list = key, entry.id = id, "an entry of PagerDuty's list cannot be read");
        }
        Some(item)
    };
    let entries = list(answer, key, read_or_log)?;
    let found = entries.len();
    let items: Vec<T> = entries.into_iter().flatten().collect();
    Ok(Rows { skipped: found - items.len(), items })
}

fn service(answer: &Value) -> Result<Service, ApiError> {
    let read = |value: &Value| {
        let ServiceRef { id, name } = wire::service(value)?;
        let escalation_policy = value.get("escalation_policy").and_then(policy_ref);
        Some(Service { id, name, html_url: model::page_url(value), escalation_policy })
    };
    answer.get("service").and_then(read).ok_or(ApiError::Unreadable { what: "service" })
}

fn policy_ref(value: &Value) -> Option<PolicyRef> {
    Some(PolicyRef { id: PolicyId::new(text(value, "id")?).ok()?, name: wire::name(value)? })
}

fn user_ref(value: &Value) -> Option<UserRef> {
    let email = text(value, "email").map(str::to_owned);
    Some(UserRef { id: PdUserId::new(text(value, "id")?).ok()?, name: wire::name(value)?, email })
}

fn priority(value: &Value) -> Option<Priority> {
    Some(Priority { id: PriorityId::new(text(value, "id")?).ok()?, name: wire::name(value)? })
}

fn on_call(value: &Value) -> Option<OnCall> {
    Some(OnCall {
        policy: policy_ref(value.get("escalation_policy")?)?.id,
        level: value.get("escalation_level")?.as_u64()?.try_into().ok()?,
        user: wire::name(value.get("user")?)?,
        schedule: value.get("schedule").and_then(wire::name),
        until: wire::time(value, "end"),
    })
}

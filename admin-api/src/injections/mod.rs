//! Injections, the schedules that ask for them, and the audit of all that happened.
//!
//! | module | what is in it |
//! |---|---|
//! | `routes` | `/injections`: the whole life of one |
//! | `chaos` | `/chaos`: the same in two calls, for scripts |
//! | `schedules` | `/v1/schedules` |
//! | `audit` | `/v1/audit`: what happened, and whether that is all of it |
//! | `events` | state changes as they happen |
//! | `wire` | what is answered |
//! | `query` | the part of an address behind `?`, read as strictly as a body |
//! | `refuse` | what the engine refused, with the status it has here |

mod audit;
mod chaos;
mod events;
mod query;
mod refuse;
mod routes;
mod schedules;
pub(crate) mod wire;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(routes::list, routes::inject))
        .routes(routes!(routes::halt))
        .routes(routes!(events::all))
        .routes(routes!(routes::show, routes::revert))
        .routes(routes!(routes::approve))
        .routes(routes!(routes::renew))
        .routes(routes!(chaos::inject))
        .routes(routes!(chaos::revert))
        .routes(routes!(chaos::experiments))
        .routes(routes!(schedules::list, schedules::add))
        .routes(routes!(schedules::remove))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(audit::at))
}

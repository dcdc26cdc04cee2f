//! What a token is for.

use std::fmt;
use std::str::FromStr;

use sabot_toxics::Invalid;
use serde::{Deserialize, Serialize};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything and changes nothing.
    Viewer,
    /// Sees everything; sets faults and takes them back.
    Operator,
    /// Sees everything; approves what others ask for. Sets no fault, so that it stays a second person.
    Approver,
    /// Does everything, and says who else may.
    Admin,
}

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To see.
    View,
    /// To set faults and to take them back.
    Operate,
    /// To approve what somebody else asked for.
    Approve,
    /// To say who may do what.
    Administer,
}

impl Role {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// Whether it is enough.
    #[must_use]
    pub fn may(self, need: Need) -> bool {
        match (self, need) {
            (Self::Admin, _) | (_, Need::View) => true,
            (role, need) => role == need.role(),
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl Need {
    /// The least role that is enough.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::View => Role::Viewer,
            Self::Operate => Role::Operator,
            Self::Approve => Role::Approver,
            Self::Administer => Role::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            let hint = sabot_toxics::suggestion(text, &names);
            Invalid::new("role", format!("`{text}` is none of {}{hint}", names.join(", ")))
        })
    }
}

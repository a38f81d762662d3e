//! User and password of TqSdk. Where they are found: `ghtrader-credentials`.

use std::fmt;

use crate::{Error, Result};

pub use ghtrader_credentials::project;

/// Who we are for the service. Debugging shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The identity of the client program, where the login service asks for one.
    pub client: Option<(String, String)>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Finds the credentials of TqSdk, from the working folder on.
///
/// # Errors
/// Where there are none, or only half of them: says where it looked.
pub fn find() -> Result<Credentials> {
    let found = ghtrader_credentials::find(&["TQ_USER", "TQ_PASSWORD"], &["TQ_CLIENT_ID", "TQ_CLIENT_SECRET"]);
    if let Some(found) = found.map(|found| of(|name| found.get(name), &found.place)).transpose()?.flatten() {
        return Ok(found);
    }
    let places: Vec<String> = ghtrader_credentials::places().iter().map(|path| path.display().to_string()).collect();
    Err(Error::Credentials(format!(
        "no TQ_USER and TQ_PASSWORD: write both, as NAME=value lines, into {}",
        places.join(" or ")
    )))
}

fn of(value: impl Fn(&str) -> Option<String>, place: &str) -> Result<Option<Credentials>> {
    let client = value("TQ_CLIENT_ID").map(|id| (id, value("TQ_CLIENT_SECRET").unwrap_or_default()));
    match (value("TQ_USER"), value("TQ_PASSWORD")) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => Ok(Some(Credentials { user, password, client })),
        (user, _) => {
            let missing = if user.is_none() { "TQ_USER" } else { "TQ_PASSWORD" };
            Err(Error::Credentials(format!("{place} lacks {missing}: TQ_USER and TQ_PASSWORD belong together")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_belong_together() {
        let found = of(|name| Some(format!("{name} a=b")), "a file").unwrap().unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("TQ_USER a=b", "TQ_PASSWORD a=b"));
        assert_eq!(found.client, Some(("TQ_CLIENT_ID a=b".to_owned(), "TQ_CLIENT_SECRET a=b".to_owned())));
        assert!(!format!("{found:?}").contains("a=b"));
    }

    #[test]
    fn half_of_them_is_an_error_that_names_the_place() {
        let half = |name: &str| (name == "TQ_USER").then(|| "me".to_owned());
        let error = of(half, ".env").unwrap_err().to_string();
        assert_eq!(error, ".env lacks TQ_PASSWORD: TQ_USER and TQ_PASSWORD belong together");
        assert_eq!(of(|_| None, ".env").unwrap(), None);
    }
}

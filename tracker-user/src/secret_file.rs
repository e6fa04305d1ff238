//! A file of secrets as an operator has written it: a secret a line, comments and empty lines. What is in it never reaches
//! a log.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The permissions of those who are neither the file's owner nor in its group.
const OF_OTHERS: u32 = 0o007;

/// The lines that are neither empty nor comments, without blanks at their ends, with their numbers from 1. The operator is
/// warned of a file that everybody may read or write.
///
/// # Errors
/// Where it cannot be read, or is no text.
pub(crate) fn lines(path: &Path) -> io::Result<Vec<(usize, String)>> {
    let text = text(path)?;
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let said = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    Ok(said.map(|(number, line)| (number, line.to_owned())).collect())
}

/// All that is in it, with the same warning.
///
/// # Errors
/// Where it cannot be read, or is no text.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    if is_open_to_others(&file)? {
        log::warn!(
            "{path:?} holds secrets, and every user of this host may read or write it: run `chmod o= {path:?}`"
        );
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn is_open_to_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.permissions().mode() & OF_OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use super::{is_open_to_others, lines};
    use std::fs::{File, Permissions, remove_file, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn comments_and_empty_lines_are_no_secrets_and_lines_keep_their_numbers() {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-secret-lines", std::process::id()));
        write(&path, "# ours\n\n  one \n#two\nthree\n").unwrap();
        assert_eq!(lines(&path).unwrap(), [(3, "one".to_owned()), (5, "three".to_owned())]);
        remove_file(&path).unwrap();
        assert!(lines(&path).is_err());
    }

    #[test]
    fn a_file_is_open_to_others_who_may_read_or_write_it() {
        let path = std::env::temp_dir().join(format!("tracker-user-{}-secret-mode", std::process::id()));
        write(&path, "").unwrap();
        for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_others(&File::open(&path).unwrap()).unwrap(), is_open, "{mode:o}");
        }
        remove_file(&path).unwrap();
    }
}

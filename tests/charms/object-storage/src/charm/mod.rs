//! stub
pub fn dispatch(_: &str) -> anyhow::Result<()> {
    Ok(())
}

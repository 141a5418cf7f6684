use pagerduty::Region;

#[test]
fn every_region() {
    for (text, region, api) in
        [("us", Region::Us, "https://api.pagerduty.com"), ("eu", Region::Eu, "https://api.eu.pagerduty.com")]
    {
        assert_eq!(text.parse(), Ok(region));
        assert_eq!(region.api_url(), api);
        // One identity service for both (PagerDuty OAuth docs).
        assert_eq!(region.identity_url(), "https://identity.pagerduty.com");
    }
    for text in ["", "US", "uk", " us"] {
        assert_eq!(text.parse::<Region>(), Err(pagerduty::UnknownRegion), "{text:?}");
    }
}

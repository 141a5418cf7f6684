use std::fmt::Write as _;

use pagerduty::webhook::{SignatureError, sign, verify};
use proptest::prelude::*;
use secrecy::SecretString;

/// RFC 4231, test case 2.
const KEY: &str = "Jefe";
const BODY: &[u8] = b"what do ya want for nothing?";
const HEX: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

fn secrets(texts: &[&str]) -> Vec<SecretString> {
    texts.iter().map(|text| SecretString::from(*text)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|start| u8::from_str_radix(&hex[start..start + 2], 16).unwrap()).collect()
}

#[test]
fn signs_like_the_published_vectors() {
    assert_eq!(sign(&SecretString::from(KEY), BODY), format!("v1={HEX}"));
    // RFC 4231, test case 1.
    let key = SecretString::from("\u{b}".repeat(20));
    assert_eq!(sign(&key, b"Hi There"), "v1=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

#[test]
fn every_header() {
    let (zeros, upper) = ("0".repeat(64), HEX.to_uppercase());
    let good = format!("v1={HEX}");
    for (name, header, expected) in [
        ("the signature", good.clone(), Ok(())),
        ("upper case", format!("v1={upper}"), Ok(())),
        ("white space around", format!(" {good} "), Ok(())),
        ("second of two", format!("v1={zeros},{good}"), Ok(())),
        ("first of two", format!("{good},v1={zeros}"), Ok(())),
        ("after a space", format!("v1={zeros}, {good}"), Ok(())),
        ("beside a newer version", format!("v2=abc,{good}"), Ok(())),
        ("beside rubbish", format!("v1=,,{good},v1=xyz"), Ok(())),
        ("another signature", format!("v1={zeros}"), Err(SignatureError::Mismatch)),
        ("two others", format!("v1={zeros},v1={zeros}"), Err(SignatureError::Mismatch)),
        ("empty", String::new(), Err(SignatureError::Malformed)),
        ("no version", HEX.to_owned(), Err(SignatureError::Malformed)),
        ("a newer version only", format!("v2={HEX}"), Err(SignatureError::Malformed)),
        ("another spelling of the version", format!("V1={HEX}"), Err(SignatureError::Malformed)),
        ("no value", "v1=".to_owned(), Err(SignatureError::Malformed)),
        ("a digit short", good[..good.len() - 1].to_owned(), Err(SignatureError::Malformed)),
        ("a digit long", format!("{good}0"), Err(SignatureError::Malformed)),
        ("half of it", good[..3 + 32].to_owned(), Err(SignatureError::Malformed)),
        ("signs instead of digits", format!("v1={}", "+5".repeat(32)), Err(SignatureError::Malformed)),
        ("not ASCII", format!("v1={}", "é".repeat(32)), Err(SignatureError::Malformed)),
        ("semicolon", format!("v1={zeros};{good}"), Err(SignatureError::Malformed)),
    ] {
        assert_eq!(verify(&secrets(&[KEY]), Some(&header), BODY), expected, "{name}");
    }
    assert_eq!(verify(&secrets(&[KEY]), None, BODY), Err(SignatureError::Missing));
}

#[test]
fn any_secret_may_fit_while_they_rotate() {
    let good = format!("v1={HEX}");
    for (names, expected) in [
        (&["old", KEY][..], Ok(())),
        (&[KEY, "new"][..], Ok(())),
        (&["", KEY][..], Ok(())),
        (&["old", "new"][..], Err(SignatureError::Mismatch)),
        (&[][..], Err(SignatureError::Mismatch)),
    ] {
        assert_eq!(verify(&secrets(names), Some(&good), BODY), expected, "{names:?}");
    }
    // Both sides rotate: the second value was made with the second secret.
    let both = format!("{},{}", sign(&SecretString::from("third"), BODY), sign(&SecretString::from("new"), BODY));
    assert_eq!(verify(&secrets(&["old", "new"]), Some(&both), BODY), Ok(()));
}

#[test]
fn an_empty_secret_matches_not_even_its_own_signature() {
    // HMAC-SHA256 of nothing under the empty key; our own `sign` gives the same.
    let forged = "v1=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    assert_eq!(sign(&SecretString::from(""), b""), forged);
    assert_eq!(verify(&secrets(&[""]), Some(forged), b""), Err(SignatureError::Mismatch));
}

#[test]
fn the_secret_is_taken_as_it_is() {
    // Looks like base64; decoded, it would be the key "Jefe".
    let signature = sign(&SecretString::from("SmVmZQ=="), BODY);
    assert_ne!(signature, format!("v1={HEX}"));
    assert_eq!(verify(&secrets(&["SmVmZQ=="]), Some(&signature), BODY), Ok(()));
}

proptest! {
    #[test]
    fn what_was_signed_is_accepted(secret in "\\PC{1,80}", body in prop::collection::vec(any::<u8>(), 0..300)) {
        let secret = SecretString::from(secret);
        let header = sign(&secret, &body);
        prop_assert_eq!(verify(&[secret], Some(&header), &body), Ok(()));
    }

    #[test]
    fn a_flipped_bit_of_the_body_is_refused(
        mut body in prop::collection::vec(any::<u8>(), 1..300),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let secret = SecretString::from(KEY);
        let header = sign(&secret, &body);
        let at = at.index(body.len());
        body[at] ^= 1 << bit;
        prop_assert_eq!(verify(&[secret], Some(&header), &body), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_flipped_bit_of_the_signature_is_refused(at in 0_usize..32, bit in 0_u8..8) {
        let mut tag = unhex(HEX);
        tag[at] ^= 1 << bit;
        let header = format!("v1={}", hex(&tag));
        prop_assert_eq!(verify(&secrets(&[KEY]), Some(&header), BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_flipped_bit_of_the_secret_is_refused(at in 0_usize..4, bit in 0_u8..7) {
        let mut key = KEY.as_bytes().to_vec();
        key[at] ^= 1 << bit;
        let other = SecretString::from(String::from_utf8(key).unwrap());
        let header = format!("v1={HEX}");
        prop_assert_eq!(verify(&[other], Some(&header), BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn no_header_breaks_it(header in "(v1=|[0-9a-fA-F]{60,68}|,|\\PC){0,8}") {
        prop_assert!(verify(&secrets(&[KEY]), Some(&header), b"some other body").is_err());
    }
}

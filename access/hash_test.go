package access

import (
	"strings"
	"testing"
)

// Written by mosquitto_passwd 2.0.11 for the password below.
const (
	mosquittoPBKDF2 = "$7$101$FzyMeWn44tQ3Islm$dfG0GyOuW98BTETzUaRsbtNMfi1myo4YXmF2oZAa+ubSex3Ny6kTp7A5UmEs7fFZw9HMsiqwDmeck3OYnTyRKw=="
	mosquittoSHA512 = "$6$82yKRcMn+dJUvHo9$D81dq38IqbLL2c4rfk3h6BP+Olt1Dm/I2GJUVzc+X2WKQLlOLLePrnbS32Wu5WgEz6GRd5nI2YYFjQ7smmqZBw=="
	theirPassword   = "pässword"
)

func TestVerifyMosquittoHashes(t *testing.T) {
	for _, entry := range []string{mosquittoPBKDF2, mosquittoSHA512} {
		c, err := parseCredential(entry)
		if err != nil {
			t.Fatalf("%s: %v", entry, err)
		}
		if !c.verify([]byte(theirPassword)) {
			t.Errorf("%s does not verify its password", c.kind)
		}
		if c.verify([]byte("password")) || c.verify(nil) {
			t.Errorf("%s verifies a wrong password", c.kind)
		}
		if c.String() != entry {
			t.Errorf("String() = %s, want %s", c, entry)
		}
	}
}

func TestHashPassword(t *testing.T) {
	for _, kind := range []HashKind{PBKDF2, SHA512, SCRAM} {
		entry, err := HashPassword(kind, "s3cret\u00a0\u2168", MinScramIterations) // SASLprep maps the last two characters
		if err != nil {
			t.Fatal(err)
		}
		again, err := HashPassword(kind, "s3cret\u00a0\u2168", MinScramIterations)
		if err != nil || again == entry {
			t.Errorf("%s: two hashes of one password are the same: %s", kind, entry)
		}
		c, err := parseCredential(entry)
		if err != nil {
			t.Fatalf("%s: %v", entry, err)
		}
		if !c.verify([]byte("s3cret\u00a0\u2168")) || c.verify([]byte("s3cret")) {
			t.Errorf("%s: %s verifies the wrong passwords", kind, entry)
		}
	}
	for _, bad := range []struct {
		kind       HashKind
		password   string
		iterations int
	}{
		{"md5", "x", 1},
		{PBKDF2, "x", -1},
		{PBKDF2, "x", MaxIterations + 1},
		{PBKDF2, strings.Repeat("x", 65536), 1},
		{SCRAM, "bell\a", MinScramIterations},
		{SCRAM, "x", MinScramIterations - 1},
	} {
		if entry, err := HashPassword(bad.kind, bad.password, bad.iterations); err == nil {
			t.Errorf("HashPassword(%s, …, %d) = %s, want an error", bad.kind, bad.iterations, entry)
		}
	}
}

func TestParseCredentialErrors(t *testing.T) {
	fields := strings.Split(mosquittoPBKDF2, "$")
	salt, hash := fields[3], fields[4]
	for _, c := range []struct {
		entry string
		want  error
	}{
		{"$", errHash},
		{"plain", errHashType},
		{"$5$" + salt + "$" + hash, errHashType},
		{"$7", errHash},
		{"$7$0$" + salt + "$" + hash, errIterations},
		{"$7$x$" + salt + "$" + hash, errIterations},
		{"$7$99999999$" + salt + "$" + hash, errIterations},
		{"$7$101", errHash},
		{"$7$101$" + salt, errHash},
		{"$7$101$c2hvcnQ=$" + hash, errSalt},
		{"$7$101$!$" + hash, errSalt},
		{"$7$101$" + salt + "$c2hvcnQ=", errPassword},
		{"$6$" + salt + "$" + hash[:10], errPassword},
		{"$scram-sha-256$10$" + salt + "$" + salt, errHash},
		{"$scram-sha-256$10$" + salt + "$" + salt + "$" + salt, errPassword},
	} {
		if _, err := parseCredential(c.entry); err != c.want {
			t.Errorf("parseCredential(%s): %v, want %v", c.entry, err, c.want)
		}
	}
}

func FuzzParseCredential(f *testing.F) {
	f.Add(mosquittoPBKDF2)
	f.Add(mosquittoSHA512)
	f.Add("$scram-sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
	f.Fuzz(func(t *testing.T, entry string) {
		c, err := parseCredential(entry)
		if err != nil {
			return
		}
		again, err := parseCredential(c.String())
		if err != nil || !again.equal(c) {
			t.Errorf("%q read, written and read again: %v", entry, err)
		}
	})
}

package access

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// CommonName returns the first Common Name of a certificate's subject, as use_identity_as_username takes it; empty where there is none.
func CommonName(c *x509.Certificate) string {
	for _, rdn := range relativeNames(c) {
		for _, a := range rdn {
			if a.Type.Equal(commonName) {
				if text, ok := characters(a.Value); ok {
					return text
				}
			}
		}
	}
	return ""
}

var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// SubjectName returns the subject of a certificate in the form of RFC 2253 as OpenSSL writes it, which is what use_subject_as_username takes for the
// user's name: from the last part to the first, with OpenSSL's short names, and everything but printable ASCII escaped. It is empty for an empty
// subject.
func SubjectName(c *x509.Certificate) string {
	names := relativeNames(c)
	var b strings.Builder
	for i := len(names) - 1; i >= 0; i-- {
		for j := len(names[i]) - 1; j >= 0; j-- {
			switch {
			case b.Len() == 0:
			case j == len(names[i])-1:
				b.WriteByte(',')
			default:
				b.WriteByte('+')
			}
			writeAttribute(&b, names[i][j])
		}
	}
	return b.String()
}

// attribute is a part of a name whose value is as it was encoded.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type relativeName []attribute

// relativeNames returns the parts of a subject in their order; each is as good as always a single attribute.
func relativeNames(c *x509.Certificate) (names []relativeName) {
	var sets []asn1.RawValue
	if _, err := asn1.Unmarshal(c.RawSubject, &sets); err != nil {
		return nil // x509 has parsed it
	}
	for _, set := range sets {
		var name relativeName
		if _, err := asn1.UnmarshalWithParams(set.FullBytes, &name, "set"); err != nil {
			return nil
		}
		names = append(names, name)
	}
	return names
}

// shortNames are OpenSSL's, for the attributes that subjects have.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description", "2.5.4.15": "businessCategory", "2.5.4.16": "postalAddress",
	"2.5.4.17": "postalCode", "2.5.4.18": "postOfficeBox", "2.5.4.20": "telephoneNumber", "2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym", "2.5.4.72": "role",
	"2.5.4.97": "organizationIdentifier", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.3": "mail",
	"0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
	"1.2.840.113549.1.9.8": "unstructuredAddress", "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
	"1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

// writeAttribute writes NAME=VALUE. The value of an attribute without a name, and one that is no text, is written as its encoding in hexadecimal.
func writeAttribute(b *strings.Builder, a attribute) {
	name, known := shortNames[a.Type.String()]
	text, isText := characters(a.Value)
	if !known || !isText {
		if !known {
			name = a.Type.String()
		}
		b.WriteString(name + "=#" + strings.ToUpper(hex.EncodeToString(a.Value.FullBytes)))
		return
	}
	b.WriteString(name + "=")
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(b, `\%02X`, c)
			continue
		case strings.IndexByte(`,+"\<>;`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(text)-1):
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
}

// Types of strings that package asn1 has no names for.
const (
	tagVisible   = 26
	tagUniversal = 28
)

// characters returns the text of a value as UTF-8.
func characters(v asn1.RawValue) (text string, ok bool) {
	b := v.Bytes
	switch v.Tag {
	case asn1.TagUTF8String:
		return string(b), utf8.Valid(b)
	case asn1.TagNumericString, asn1.TagPrintableString, asn1.TagT61String, asn1.TagIA5String, tagVisible, asn1.TagUTCTime, asn1.TagGeneralizedTime:
		runes := make([]rune, len(b)) // bytes above 127 are Latin-1 to OpenSSL
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes), v.Class == asn1.ClassUniversal
	case asn1.TagBMPString:
		if len(b)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
		}
		return string(utf16.Decode(units)), true
	case tagUniversal:
		if len(b)%4 != 0 {
			return "", false
		}
		runes := make([]rune, len(b)/4)
		for i := range runes {
			runes[i] = rune(b[4*i])<<24 | rune(b[4*i+1])<<16 | rune(b[4*i+2])<<8 | rune(b[4*i+3])
		}
		return string(runes), true
	}
	return "", false
}

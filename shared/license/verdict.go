package license

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// VerdictCode is the stable name of what the server said about a license. Every
// code but [Valid] is a refusal.
type VerdictCode string

// The verdicts.
const (
	Valid            VerdictCode = "valid"             // the customer may use the license on this machine
	MetadataMismatch VerdictCode = "metadata_mismatch" // the license is bound to another machine; the customer can reset the key
	NotFound         VerdictCode = "not_found"         // there is no such license key
	Inactive         VerdictCode = "inactive"          // the license was canceled, has expired, or does not entitle the customer for another reason
)

// Verdict is what the server said about a license.
type Verdict struct {
	Code      VerdictCode
	CheckedAt Milliseconds // when the server said so
	// FromLease reports whether a stored lease stood in for the server. Failure is
	// then what prevented a verdict of the server's, or nil if the server was not
	// asked.
	FromLease bool
	Failure   *Error
	// Lease is the signed proof of a [Valid] verdict, and LeaseExpiresAt the time
	// until which it may stand in for the server. Both are zero without a [Trust].
	Lease          string
	LeaseExpiresAt Milliseconds
	// Skew is how far this clock was behind the server's when Lease came; negative
	// if it was ahead. It belongs in [Stored] with the lease, and is no part of the
	// JavaScript API.
	Skew Milliseconds
	// Membership is what the license belongs to. Only a [Valid] verdict has one.
	Membership Membership
	// Message and Status are the server's words and the HTTP status. Only refusals
	// have them.
	Message string
	Status  int
}

// Membership is the part of Whop's v2 membership that an application needs: some
// of its members, each at most once. It leaves out the customer's personal data,
// even if a server sends it.
type Membership []Member

// text returns the string of the given name, or "".
func (m Membership) text(name string) string {
	for _, member := range m {
		if member.Name == name {
			text, _ := jsontext.AppendUnquote(nil, member.Value)
			return string(text)
		}
	}
	return ""
}

// Member is one member of a membership.
type Member struct {
	Name  string
	Value jsontext.Value // JSON; a time is in Unix seconds or null
}

type kind byte

const (
	kindString kind = iota
	kindID          // a string, or an object expanded in its place that holds it as "id"
	kindBool
	kindInt
	kindTime
	kindObject
)

type field struct {
	name string
	kind kind
}

// fields are the members of a membership that are passed on. All of them may be
// null or absent. "valid" is not among them, because it decides.
var fields = [...]field{
	{"id", kindString}, {"product", kindID}, {"plan", kindID}, {"status", kindString},
	{"license_key", kindString}, {"metadata", kindObject}, {"expires_at", kindTime},
	{"renewal_period_start", kindTime}, {"renewal_period_end", kindTime}, {"created_at", kindTime},
	{"cancel_at_period_end", kindBool}, {"quantity", kindInt}, {"manage_url", kindString},
}

// AppendJSON appends the verdict as the JSON object of the JavaScript API: valid,
// code, source and checkedAt. A [Valid] verdict also has the membership, with the
// names of Whop's API and times in Unix seconds or null, the lease, and the
// failure as error. A refusal also has message and status.
func (v *Verdict) AppendJSON(dst []byte) []byte {
	valid, source, leaseExpiresAt := "false", "server", ""
	if v.Code == Valid {
		valid = "true"
	}
	if v.FromLease {
		source = "lease"
	}
	if v.Lease != "" {
		leaseExpiresAt = FormatTime(v.LeaseExpiresAt)
	}
	dst = append(append(dst, `{"valid":`...), valid...)
	for _, s := range [...]struct{ name, value string }{
		{"code", string(v.Code)}, {"source", source}, {"checkedAt", FormatTime(v.CheckedAt)}, {"message", v.Message},
		{"lease", v.Lease}, {"leaseExpiresAt", leaseExpiresAt},
	} {
		if s.value != "" {
			dst = appendString(appendName(dst, s.name), s.value)
		}
	}
	if v.Code == Valid {
		dst = append(appendName(dst, "membership"), `{"valid":true`...)
		for _, m := range v.Membership {
			dst = append(appendName(dst, m.Name), m.Value...)
		}
		dst = append(dst, '}')
		if v.Failure != nil {
			dst = v.Failure.appendJSON(appendName(dst, "error"))
		}
	} else {
		dst = strconv.AppendInt(appendName(dst, "status"), int64(v.Status), 10)
	}
	return append(dst, '}')
}

// appendJSON appends what a verdict tells of a failure: code, message and, if there
// was a response, status.
func (e *Error) appendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"code":`...), string(e.Code))
	dst = appendString(appendName(dst, "message"), e.Message)
	if e.Status != 0 {
		dst = strconv.AppendInt(appendName(dst, "status"), int64(e.Status), 10)
	}
	return append(dst, '}')
}

func appendName(dst []byte, name string) []byte {
	return append(append(append(dst, ',', '"'), name...), '"', ':')
}

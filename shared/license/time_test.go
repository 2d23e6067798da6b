package license

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFormatTimeAgreesWithTheStandardLibrary(t *testing.T) {
	times := []Milliseconds{0, 1, -1, 999, 951782400000, 951868799999, 4107542400000, 1709164800000, -62167219200000, 253402300799999, testNow}
	for day := int64(-719_000); day < 2_900_000; day += 1237 {
		times = append(times, Milliseconds(day*86400000+day%86400000))
	}
	for _, ms := range times {
		assert.Equal(t, time.UnixMilli(int64(ms)).UTC().Format("2006-01-02T15:04:05.000Z"), FormatTime(ms))
	}
	assert.Equal(t, "0000-01-01T00:00:00.000Z", FormatTime(-1<<63))
	assert.Equal(t, "9999-12-31T23:59:59.999Z", FormatTime(1<<63-1))
}

func FuzzParseISO(f *testing.F) {
	for _, s := range []string{"2025-02-01T00:00:00Z", "2024-02-29T23:59:59.999+14:00", "2025-02-29T00:00:00Z", "2025-01-01T00:00:00", "0000-00-00T00:00:00Z", "2025-01-01 00:00:00Z", "2025-01-01t24:00:00z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseISO(s)
		want, err := time.Parse(time.RFC3339Nano, s)
		if err == nil && !ok && want.Year() >= 0 {
			// The library also takes a comma for the fraction, one-digit hours, and a
			// zone of 24 hours or 60 minutes.
			if len(s) >= 20 && s[10] == 'T' && s[13] == ':' && s[19] != ',' && !strings.HasSuffix(s, ":60") && s[len(s)-5:len(s)-3] != "24" {
				t.Errorf("%q was not read", s)
			}
		}
		if err == nil && ok {
			assert.Equal(t, want.Unix(), got, s)
		}
	})
}

func FuzzParseHTTPDate(f *testing.F) {
	for _, s := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 2030 00:00:00 GMT", "Mon, 29 Feb 2024 23:59:60 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseHTTPDate(s)
		want, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", s)
		if err == nil && ok {
			assert.Equal(t, want.Unix(), got, s)
		}
	})
}

package license

import "strings"

// Times are read and written here and not with package time, which would add a
// tenth to the size of an empty module.

// daysFromCivil counts the days from 1970-01-01 to a date of the proleptic
// Gregorian calendar. The algorithm is days_from_civil of Howard Hinnant's
// "chrono-Compatible Low-Level Date Algorithms".
func daysFromCivil(y, m, d int64) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// civilFromDays is the inverse of [daysFromCivil], from the same source.
func civilFromDays(z int64) (y, m, d int64) {
	z += 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = mp + 3
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// FormatTime writes a time since 1970 as JavaScript's Date.toISOString does, such
// as 2026-11-13T00:00:00.000Z, for the years 0 to 9999. A time outside of these is
// moved to the nearest of them.
func FormatTime(t Milliseconds) string {
	ms := int64(min(max(t, -62167219200000), 253402300799999))
	days := floorDiv(ms, 86400000)
	rest := ms - days*86400000
	y, m, d := civilFromDays(days)
	text := []byte("0000-00-00T00:00:00.000Z")
	for _, field := range [...]struct {
		end   int
		value int64
	}{
		{4, y}, {7, m}, {10, d}, {13, rest / 3600000}, {16, rest / 60000 % 60}, {19, rest / 1000 % 60}, {23, rest % 1000},
	} {
		for i, n := field.end-1, field.value; n > 0; i, n = i-1, n/10 {
			text[i] += byte(n % 10)
		}
	}
	return string(text)
}

// parseISO reads a time as RFC 3339 writes it, into whole seconds since 1970.
func parseISO(s string) (int64, bool) {
	if len(s) < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' && s[10] != 't' && s[10] != ' ' {
		return 0, false
	}
	y, ok1 := parseDigits(s[:4])
	m, ok2 := parseDigits(s[5:7])
	d, ok3 := parseDigits(s[8:10])
	clock, ok4 := parseClock(s[11:19])
	if !ok1 || !ok2 || !ok3 || !ok4 || !validDate(y, m, d) {
		return 0, false
	}
	zone := s[19:]
	if zone[0] == '.' {
		n := 1
		for n < len(zone) && '0' <= zone[n] && zone[n] <= '9' {
			n++
		}
		if n == 1 {
			return 0, false
		}
		zone = zone[n:]
	}
	offset, ok := parseZone(zone)
	return daysFromCivil(y, m, d)*86400 + clock - offset, ok
}

// parseZone reads Z or ±hh:mm into seconds east of UTC.
func parseZone(s string) (int64, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	h, ok1 := parseDigits(s[1:3])
	m, ok2 := parseDigits(s[4:6])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	if s[0] == '-' {
		return -(h*3600 + m*60), true
	}
	return h*3600 + m*60, true
}

// parseHTTPDate reads RFC 9110's IMF-fixdate, such as
// "Sun, 06 Nov 1994 08:49:37 GMT", into seconds since 1970.
func parseHTTPDate(s string) (int64, bool) {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	if len(s) != 29 || s[3:5] != ", " || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' || s[25:] != " GMT" {
		return 0, false
	}
	month := strings.Index(months, s[8:11])
	d, ok1 := parseDigits(s[5:7])
	y, ok2 := parseDigits(s[12:16])
	clock, ok3 := parseClock(s[17:25])
	m := int64(month)/3 + 1
	if month < 0 || month%3 != 0 || !ok1 || !ok2 || !ok3 || !validDate(y, m, d) {
		return 0, false
	}
	return daysFromCivil(y, m, d)*86400 + clock, true
}

// parseClock reads hh:mm:ss into seconds; 60 is a leap second.
func parseClock(s string) (int64, bool) {
	h, ok1 := parseDigits(s[:2])
	m, ok2 := parseDigits(s[3:5])
	sec, ok3 := parseDigits(s[6:8])
	ok := ok1 && ok2 && ok3 && s[2] == ':' && s[5] == ':' && h < 24 && m < 60 && sec <= 60
	return h*3600 + m*60 + sec, ok
}

func validDate(y, m, d int64) bool {
	if m < 1 || m > 12 || d < 1 {
		return false
	}
	yy, mm, _ := civilFromDays(daysFromCivil(y, m, d))
	return yy == y && mm == m
}

// parseDigits reads up to 15 decimal digits and nothing else.
func parseDigits(s string) (int64, bool) {
	if s == "" || len(s) > 15 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

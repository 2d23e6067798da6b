package lease

// Milliseconds is a length of time or, as a point in time, how much of it has
// passed since 1970-01-01T00:00:00Z. What is signed counts in whole seconds
// instead, as JWTs do; [Seconds] converts.
type Milliseconds int64

// Seconds returns n seconds.
func Seconds(n int64) Milliseconds { return Milliseconds(n) * 1000 }

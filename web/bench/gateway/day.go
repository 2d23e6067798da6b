//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
	"time"
)

// The day is simulated, not measured: how many calls a day's use of one app
// makes to Whop, against Whop's quota.
const (
	installations  = 1_000_000
	launchesPerDay = 3.0 // the mean; each installation's own is exponential around it
	warmUpDays     = 15  // until leases of up to 14 days have found their pace
	quota          = 600 // look-ups a minute
)

// launchWeights is how a day's launches fall on its hours: few at night, most in
// the evening.
var launchWeights = [24]float64{2, 1, 1, 1, 1, 2, 3, 5, 7, 7, 6, 6, 7, 7, 6, 6, 7, 8, 9, 10, 10, 8, 6, 4}

// policy is how an app uses leases.
type policy struct {
	name       string
	ttl        time.Duration // 0: no leases
	revalidate time.Duration // how old a lease may be before it is refreshed
}

var policies = []policy{
	{"no leases: every launch asks", 0, 0},
	{"leases of 24h, asked for at every launch", 24 * time.Hour, -1},
	{"leases of 24h, refreshed after 12h", 24 * time.Hour, 12 * time.Hour},
	{"leases of 7d, refreshed after 3d", 7 * 24 * time.Hour, 72 * time.Hour},
	{"leases of 14d, refreshed after 7d", 14 * 24 * time.Hour, 7 * 24 * time.Hour},
}

// simulateDay counts a policy's calls to Whop in each minute of one day. A
// launch asks the gateway unless a lease is young enough, and the gateway asks
// Whop unless it has asked within its --cache-ttl of five minutes.
func simulateDay(p policy) (perMinute [24 * 60]int) {
	random := rand.New(rand.NewPCG(1, 2))
	var hours [24]float64
	total := 0.0
	for i, w := range launchWeights {
		total += w
		hours[i] = total
	}
	const cacheTTL = 5 * 60
	const never = math.MinInt64 / 2
	revalidate, ttl := int64(p.revalidate.Seconds()), int64(p.ttl.Seconds())
	launches := make([]int64, 0, 64)
	for range installations {
		mean := random.ExpFloat64() * launchesPerDay
		asked := int64(never)
		// An installation has been in use for long, and last asked at some time.
		for day := int64(-warmUpDays); day <= 0; day++ {
			launches = launches[:0]
			for range poisson(random, mean) {
				x, hour := random.Float64()*total, 0
				for hours[hour] < x {
					hour++
				}
				launches = append(launches, day*86400+int64(hour)*3600+random.Int64N(3600))
			}
			slices.Sort(launches)
			for _, now := range launches {
				age := now - asked
				if p.ttl > 0 && revalidate >= 0 && age < min(revalidate, ttl) || age < cacheTTL {
					continue
				}
				asked = now
				if day == 0 {
					perMinute[now/60]++
				}
			}
		}
	}
	return perMinute
}

func poisson(random *rand.Rand, mean float64) int {
	n, limit, product := 0, math.Exp(-mean), random.Float64()
	for product > limit {
		n++
		product *= random.Float64()
	}
	return n
}

func printDay(out io.Writer) {
	fmt.Fprintf(out, "\nA day of %d installations, simulated: %.0f launches a day each on the average (exponential), most of them in the evening;\nlook-ups at Whop against its quota of %d a minute.\n\n", installations, launchesPerDay, quota)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "policy\tlook-ups a day\tmean a minute\tbusiest minute\tof the quota\tminutes over it")
	for _, p := range policies {
		sum, most, over := 0, 0, 0
		for _, n := range simulateDay(p) {
			sum += n
			most = max(most, n)
			if n > quota {
				over++
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.2f ×\t%d\n", p.name, sum, sum/1440, most, float64(most)/quota, over)
	}
	w.Flush()
}

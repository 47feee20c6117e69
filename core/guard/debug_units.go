package guard

import (
	"fmt"
	"time"
)

// lapse is a time in seconds for people: four digits at most below a minute, a
// dash where there is none.
func lapse(seconds float64) string {
	switch {
	case seconds == 0:
		return "–"
	case seconds < 1e-3:
		return fmt.Sprintf("%.0f µs", seconds*1e6)
	case seconds < 1:
		return fmt.Sprintf("%.1f ms", seconds*1e3)
	case seconds < 60:
		return fmt.Sprintf("%.1f s", seconds)
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// size is a number of bytes for people.
func size(bytes uint64) string {
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	n, unit := float64(bytes)/(1<<10), 0
	for ; n >= 1000 && unit < len(sizeUnits)-1; unit++ {
		n /= 1 << 10
	}
	return fmt.Sprintf("%.*f %s", digits(n), n, sizeUnits[unit])
}

var sizeUnits = []string{"KiB", "MiB", "GiB", "TiB"}

// digits behind the point, so that there are about three in all.
func digits(n float64) int {
	if n < 10 && n != float64(int(n)) {
		return 1
	}
	return 0
}

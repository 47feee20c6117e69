package rfc9111

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the moment every test calls now: Tue, 01 Sep 2026 12:00:00 GMT.
var epoch = time.Date(2026, time.September, 1, 12, 0, 0, 0, time.UTC)

// fields builds a header from alternating names and values.
func fields(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func seconds(n int) Delta { return Delta{Value: time.Duration(n) * time.Second, Set: true} }

func date(offset time.Duration) string { return string(AppendDate(nil, epoch.Add(offset))) }

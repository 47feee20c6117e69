package guard_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or the process that some of them start and kill.
func TestMain(m *testing.M) {
	if nodes := os.Getenv(shopNodes); nodes != "" {
		fmt.Fprintln(os.Stderr, serveShop(nodes))
		os.Exit(1)
	}
	if task := os.Getenv(raceTask); task != "" {
		if err := runRacer(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

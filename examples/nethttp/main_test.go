package main

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/examples/internal/shoptest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestServes(t *testing.T) { shoptest.Run(t, run) }

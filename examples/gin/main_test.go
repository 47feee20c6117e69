package main

import (
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/examples/internal/shoptest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

func TestServes(t *testing.T) { shoptest.Run(t, run) }

package core

import "sync/atomic"

var defaultManager atomic.Pointer[Manager]

// SetDefault makes m the Manager that Default returns. It does not close the
// one before.
func SetDefault(m *Manager) { defaultManager.Store(m) }

// Default returns the Manager of SetDefault, or nil before it was called.
func Default() *Manager { return defaultManager.Load() }

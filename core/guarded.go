package core

import "context"

// Guarded wraps fn so that calls with the same key run one at a time in the
// whole fleet, each under a renewed lock as in Do. An error of key is returned
// before anything is locked.
func Guarded[A, R any](m *Manager, key func(A) (string, error), fn func(context.Context, A) (R, error), opts ...Option) func(context.Context, A) (R, error) {
	return func(ctx context.Context, arg A) (R, error) {
		var result R
		name, err := key(arg)
		if err != nil {
			return result, err
		}
		err = m.Do(ctx, name, func(ctx context.Context) error {
			var err error
			result, err = fn(ctx, arg)
			return err
		}, opts...)
		return result, err
	}
}

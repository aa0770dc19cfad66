// Package cpuid stands in for github.com/klauspost/cpuid/v2, through a replace directive in the repository's go.mod: what fetches certificates asks
// only whether the processor has instructions for AES, and golang.org/x/sys/cpu, which is in the program already, knows that.
package cpuid

import "golang.org/x/sys/cpu"

// FeatureID is something that a processor may have.
type FeatureID int

// AESNI are x86's instructions for AES.
const AESNI FeatureID = 1

// Info is about a processor.
type Info struct{}

// CPU is the processor that this runs on.
var CPU Info

// Supports is false for everything but [AESNI], as it is with the original for AESNI on other processors than x86.
func (Info) Supports(f FeatureID) bool { return f == AESNI && cpu.X86.HasAES }

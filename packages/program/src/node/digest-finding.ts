import type { DigestEngine } from '@filesync/protocol/node'
import type { DoctorFinding } from '../findings.ts'

/** Which BLAKE3 implementation this machine uses. Both compute the same digests; WebAssembly takes about ten times as long. */
export function digestFinding (engine: DigestEngine): DoctorFinding {
  if (engine.name === 'native') return { check: 'digest', level: 'ok', what: 'Content is hashed by the native build of BLAKE3.' }
  return {
    check: 'digest',
    level: 'warning',
    what: `Content is hashed by WebAssembly, which is slower, because the native build of BLAKE3 cannot be loaded: ${engine.reason}`,
    fix: 'install again with optional dependencies if hashing is too slow; nothing else depends on it',
  }
}

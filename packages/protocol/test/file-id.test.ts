import { expect, test } from 'vitest'
import { writeFileId } from '../src/file-id.ts'

function fileIdOf (inode: bigint, birthNs: bigint): bigint {
  const fileId = new BigUint64Array(1)
  writeFileId(new Uint32Array(BigUint64Array.of(inode, BigInt.asUintN(64, birthNs)).buffer), new Uint32Array(fileId.buffer))
  return fileId[0] ?? 0n
}

// Servers keep file ids for years: another one would make every file look exchanged.
test('never changes', () => {
  expect(fileIdOf(1n, 0n)).toBe(16_685_064_529_186_022_662n)
  expect(fileIdOf(2n ** 63n + 5n, 1_700_000_000_123_456_789n)).toBe(7_078_198_370_747_287_743n)
  expect(fileIdOf(12n, -1n)).toBe(4_773_547_508_146_749_596n)
})

test('is 0 without an inode, and depends on both numbers', () => {
  expect(fileIdOf(0n, 5n)).toBe(0n)
  expect(new Set([fileIdOf(1n, 1n), fileIdOf(1n, 2n), fileIdOf(2n, 1n), fileIdOf(2n, 2n), fileIdOf(1n, 1n << 32n)]).size).toBe(5)
})

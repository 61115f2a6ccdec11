import { parentPort } from 'node:worker_threads'
import { asFileSyncError } from '@filesync/protocol'
import { signFile } from './sign-file.ts'
import type { SignAnswer, SignQuestion } from './signer.ts'

parentPort?.on('message', ({ id, fd, sizeBytes, stop }: SignQuestion) => {
  try {
    const signature = signFile({ fd, sizeBytes, isStopped: () => Atomics.load(stop, 0) !== 0 })
    parentPort?.postMessage({ id, signature } satisfies SignAnswer, signature === undefined ? [] : [signature.buffer])
  } catch (error) {
    const { code, message } = asFileSyncError(error)
    parentPort?.postMessage({ id, error: { code, message } } satisfies SignAnswer)
  }
})

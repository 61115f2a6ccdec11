import { asFileSyncError, ERRORS, isFileSyncError } from '@filesync/protocol'
import { printable } from '../printable.ts'
import { variableOf } from './program-name.ts'
import type { ProgramName } from './program-name.ts'
import type { Terminal } from './terminal.ts'

/** How many nested causes are printed; they may form a cycle. */
const MAX_CAUSES = 10
/** How node-gyp-build, N-API loaders and Node report that there is no native code for this machine. */
const NO_BINDING = /No native build was found|Cannot find (?:native binding|module '[^']*(?:\.node|-(?:linux|darwin|win32)-[^']*)')/u

function installAgain (name: string): string {
  return `its native code is missing for this machine (${process.platform} ${process.arch}). Install ${name} again here, ` +
    'with optional dependencies ("npm install" without --omit=optional); node_modules cannot be copied from another system.'
}

function report (name: string, variable: string): string {
  return `this is a bug in ${name}. Run it again with ${variable}=1 for a stack trace, and report it.`
}

/**
 * Prints an error on stderr as one message and returns the exit code. With `<PREFIX>_DEBUG` in the environment, the stacks of all
 * causes follow.
 */
export function reportError (program: ProgramName, error: unknown, terminal: Pick<Terminal, 'stderr' | 'env'>): number {
  const { name } = program
  const known = asFileSyncError(error)
  const variable = variableOf(program, 'debug')
  const isDebugging = terminal.env[variable] !== undefined
  terminal.stderr.write(`${name}: ${(known.lines ?? [known.message]).map(printable).join('\n')}\n`)
  if (!isFileSyncError(error)) {
    // A bug is the only case in which the user should report anything.
    const advice = causesOf(error).some(isMissingBinding)
      ? installAgain(name)
      : isSystemError(error) || isDebugging ? undefined : report(name, variable)
    if (advice !== undefined) terminal.stderr.write(`${name}: ${advice}\n`)
  }
  if (isDebugging) terminal.stderr.write(causesOf(error).map(describeCause).join(''))
  return ERRORS[known.code].exitCode
}

/** The error, its cause, the cause of that, and so on. */
function causesOf (error: unknown): unknown[] {
  const causes: unknown[] = []
  let next = error
  while (next !== undefined && next !== null && causes.length < MAX_CAUSES && !causes.includes(next)) {
    causes.push(next)
    next = next instanceof Error ? next.cause : undefined
  }
  return causes
}

function describeCause (error: unknown, index: number): string {
  const text = error instanceof Error ? error.stack ?? error.message : String(error)
  return `${index === 0 ? '' : 'caused by: '}${text.split('\n').map(printable).join('\n')}\n`
}

function isMissingBinding (error: unknown): boolean {
  return error instanceof Error && (NO_BINDING.test(error.message) || ('code' in error && error.code === 'ERR_DLOPEN_FAILED'))
}

/** Whether the system refused something, such as writing to a directory: this is not a bug. */
function isSystemError (error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}

#!/usr/bin/env node
import { disableParallelCollection, runProgram, stopSignal } from '@filesync/program/node'
import { createServerProgram } from './command-line.ts'

disableParallelCollection()
const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env }
process.exitCode = await runProgram(createServerProgram({ terminal, signal: stopSignal() }), process.argv.slice(2), terminal)

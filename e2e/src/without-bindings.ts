/**
 * For `node --require`: makes the process one of a platform for which some packages have no native build. The environment
 * variable FILESYNC_TEST_WITHOUT holds the beginnings of the names that cannot be found, with commas between.
 */
import { registerHooks } from 'node:module'

const missing = (process.env['FILESYNC_TEST_WITHOUT'] ?? '').split(',').filter(name => name !== '')

registerHooks({
  resolve (specifier, context, nextResolve) {
    if (!missing.some(name => specifier.startsWith(name))) return nextResolve(specifier, context)
    throw Object.assign(new Error(`Cannot find module '${specifier}'`), { code: 'MODULE_NOT_FOUND' })
  }
})

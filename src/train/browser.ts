/** `manabi/train` keeps runs in folders, so it has nothing for a browser: write the loop itself there, as the studio does.
 *  A bundler names this file where a page imports something from it. @module */
export {};

// Makes a folder with six placeholders for the functions and prints its path, for a synth without a build.

import { placeholders } from './support';

console.log(placeholders());

// Makes a folder with six placeholders for the functions, for a synth without a build: placeholders.ts <folder>

import { fill } from './support';

fill(process.argv[2], 0xb7);

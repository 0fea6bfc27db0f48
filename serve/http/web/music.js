// Whether what was heard is music at all.
const IS_MUSIC = 0.5;

/** Whether a track, or a piece of one, is rather music than not; what says nothing of it is. */
export const isMusic = ({ music = 1 }) => music >= IS_MUSIC;

/** For each piece whether it is rather not music: then it does not count, unless no piece does. */
export const otherPieces = ({ timeline }) => timeline.map((piece) => !isMusic(piece));
